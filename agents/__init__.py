"""The agents of foveal-envs: they learn in PyTorch as algorithms of Stable-Baselines3, and know no task."""

from .common.agent import Agent
from .common.best import KeepBest
from .common.checkpoint import SaveCheckpoint, load_checkpoint, save_checkpoint
from .common.retina import Retina
from .common.vec_env import GymnasiumVecEnv, make_sb3
from .common.vision import Vision
from .cores import CORES, Core, FeedForward
from .evolution.attention_agent import AttentionAgent
from .evolution.dream import MixtureDream
from .evolution.mixture import MixtureModel
from .evolution.observation import MemoryObservation
from .evolution.policy import EvolvedPolicy
from .evolution.recording import CodedRecording, Recording, random_play
from .evolution.search import Evolution
from .evolution.vae import ConvVAE
from .evolution.vision_memory_controller import VisionMemoryController, VisionMemoryPolicy
from .hq.learning import HQLearning, HQPolicy
from .ppo.field_policy import FieldPolicy
from .ppo.grid_policy import GridPolicy
from .ppo.imitation import Lessons, Teacher
from .ppo.policy import RecurrentPolicy
from .ppo.recogniser import Recogniser, RecognitionPolicy
from .ppo.recurrent_ppo import RecurrentPPO
from .subgoals.controller import HierarchicalController, HierarchicalPolicy
from .subgoals.generator import SubgoalGenerator
from .subgoals.leg_evaluator import LegEvaluator, Quasimetric
from .subgoals.map_navigator import MapNavigator, MapPolicy
from .values.uvfa import Concatenated, TwoStream, TwoStreamExtractor
from .world_model.controller import WorldModelController
from .world_model.curiosity import CuriosityReward
from .world_model.dream_env import DreamVectorEnv
from .world_model.ensemble import Ensemble
from .world_model.evaluator import Evaluator
from .world_model.explorer import CuriousExplorer, TablePolicy
from .world_model.horizon import HorizonErrors, horizon_errors
from .world_model.model import WorldModel
from .world_model.one_big_net import OneBigNet
from .world_model.one_net import OneNetPolicy
from .world_model.planning import Planner
from .world_model.policy import ControllerPolicy
from .world_model.presets import PRESETS
from .world_model.tables import TableModel
from .world_model.thinking import ThinkingController, ThinkingPolicy

AGENTS: dict[str, type[Agent]] = {
    "AttentionAgent": AttentionAgent,
    "CuriousExplorer": CuriousExplorer,
    "Evolution": Evolution,
    "HQLearning": HQLearning,
    "HierarchicalController": HierarchicalController,
    "MapNavigator": MapNavigator,
    "OneBigNet": OneBigNet,
    "Recogniser": Recogniser,
    "RecurrentPPO": RecurrentPPO,
    "ThinkingController": ThinkingController,
    "VisionMemoryController": VisionMemoryController,
    "WorldModelController": WorldModelController,
}

__all__ = [
    "AGENTS",
    "CORES",
    "PRESETS",
    "Agent",
    "AttentionAgent",
    "CodedRecording",
    "Concatenated",
    "ControllerPolicy",
    "ConvVAE",
    "Core",
    "CuriosityReward",
    "CuriousExplorer",
    "DreamVectorEnv",
    "Ensemble",
    "Evaluator",
    "Evolution",
    "EvolvedPolicy",
    "FeedForward",
    "FieldPolicy",
    "GridPolicy",
    "GymnasiumVecEnv",
    "HQLearning",
    "HQPolicy",
    "HierarchicalController",
    "HierarchicalPolicy",
    "HorizonErrors",
    "KeepBest",
    "LegEvaluator",
    "Lessons",
    "MapNavigator",
    "MapPolicy",
    "MemoryObservation",
    "MixtureDream",
    "MixtureModel",
    "OneBigNet",
    "OneNetPolicy",
    "Planner",
    "Quasimetric",
    "Recogniser",
    "RecognitionPolicy",
    "Recording",
    "RecurrentPPO",
    "RecurrentPolicy",
    "Retina",
    "SaveCheckpoint",
    "SubgoalGenerator",
    "TableModel",
    "TablePolicy",
    "Teacher",
    "ThinkingController",
    "ThinkingPolicy",
    "TwoStream",
    "TwoStreamExtractor",
    "Vision",
    "VisionMemoryController",
    "VisionMemoryPolicy",
    "WorldModel",
    "WorldModelController",
    "horizon_errors",
    "load_checkpoint",
    "make_sb3",
    "random_play",
    "save_checkpoint",
]
