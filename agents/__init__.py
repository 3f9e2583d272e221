"""Learning agents in PyTorch for Stable-Baselines3; they know no task."""

from .actor_critic import RecurrentPolicy
from .agent import Agent
from .checkpoint import SaveCheckpoint, load_checkpoint, save_checkpoint
from .cores import CORES, Core, FeedForward
from .evaluator import Evaluator
from .field_policy import FieldPolicy
from .grid_policy import GridPolicy
from .hierarchy import HierarchicalController, HierarchicalPolicy
from .hq_learning import HQLearning, HQPolicy
from .imitation import Lessons, Teacher
from .leg_evaluator import LegEvaluator, Quasimetric
from .map_navigator import MapNavigator, MapPolicy
from .policy import ControllerPolicy
from .presets import PRESETS
from .recogniser import Recogniser, RecognitionPolicy
from .recurrent_ppo import RecurrentPPO
from .retina import Retina
from .subgoals import SubgoalGenerator
from .uvfa import Concatenated, TwoStream, TwoStreamExtractor
from .vec_env import GymnasiumVecEnv, make_sb3
from .world_model import WorldModel
from .world_model_controller import WorldModelController

AGENTS: dict[str, type[Agent]] = {
    "HQLearning": HQLearning,
    "HierarchicalController": HierarchicalController,
    "MapNavigator": MapNavigator,
    "Recogniser": Recogniser,
    "RecurrentPPO": RecurrentPPO,
    "WorldModelController": WorldModelController,
}

__all__ = [
    "AGENTS",
    "CORES",
    "PRESETS",
    "Agent",
    "Concatenated",
    "ControllerPolicy",
    "Core",
    "Evaluator",
    "FeedForward",
    "FieldPolicy",
    "GridPolicy",
    "GymnasiumVecEnv",
    "HQLearning",
    "HQPolicy",
    "HierarchicalController",
    "HierarchicalPolicy",
    "LegEvaluator",
    "Lessons",
    "MapNavigator",
    "MapPolicy",
    "Quasimetric",
    "Recogniser",
    "RecognitionPolicy",
    "RecurrentPPO",
    "RecurrentPolicy",
    "Retina",
    "SaveCheckpoint",
    "SubgoalGenerator",
    "Teacher",
    "TwoStream",
    "TwoStreamExtractor",
    "WorldModel",
    "WorldModelController",
    "load_checkpoint",
    "make_sb3",
    "save_checkpoint",
]
