"""A Ray cluster: joining one, or starting one on this machine, and what each of its nodes must have."""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from .command import Refusal

LOCAL = "local"  # address of a Ray of one's own
REACH = 5.0  # seconds until a cluster's address must answer


def need_ray() -> None:
    """Raise a `Refusal` where Ray is not installed, or without what RLlib and Ray Tune need."""
    missing = [name for name in ("ray", "pyarrow", "tree") if importlib.util.find_spec(name) is None]
    if missing:
        raise Refusal(
            f"{'Ray' if 'ray' in missing else 'what RLlib and Ray Tune need'} is missing; RLlib pins Gymnasium, so in "
            "an environment of its own: pip install 'foveal-envs[agents,rllib]'"
        )


@contextmanager
def joined(address: str | None, processes: int = 1) -> Iterator[None]:
    """Inside, Ray runs: the cluster at an address, or one of its own; every node has been looked at.

    Args:
        address: "auto" or host:port; "local" or None: a Ray of one's own on this machine.
        processes: that will run at once, at least.

    Raises:
        Refusal: nothing answers there, it has too few processors, or a node lacks these packages.
    """
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")  # the paths of a command may be relative
    import ray

    host, _, port = (address or "").rpartition(":")
    try:
        if port.isdigit():
            socket.create_connection((host, int(port)), REACH).close()
        own = {"num_cpus": max(processes, os.cpu_count() or 1)} if address in (None, LOCAL) else {}
        ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level="error", **own)
    except (OSError, RuntimeError, ValueError) as error:
        raise Refusal(
            f"no Ray cluster answers at {address}: start one with `ray start --head`, and on the other machines "
            "`ray start --address HOST:PORT`"
        ) from error
    try:
        wrong = [f"node {node}: {said}" for node, said in look_at_nodes().items() if said]
        if (there := int(ray.cluster_resources().get("CPU", 0))) < processes:
            wrong.append(f"{processes} processes need as many processors, and the cluster has {there}")
        if wrong:
            raise Refusal(wrong[0])
        yield
    finally:
        ray.shutdown()


def look_at_nodes() -> dict[str, str]:
    """What is wrong with each node of the cluster, by its address; "" where nothing is."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from foveal_envs import __version__

    nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    look = ray.remote(num_cpus=0)(_look)
    asked = {
        address: look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(__version__)
        for node, address in nodes.items()
    }
    return {address: ray.get(answer) for address, answer in asked.items()}


def _look(version: str) -> str:
    """Runs on a node, whose packages may be others."""
    install = f"pip install 'foveal-envs[agents,rllib]=={version}' on every node"
    try:
        import foveal_envs
    except ImportError as error:
        return f"{error}: {install}"
    if foveal_envs.__version__ != version:
        return f"it has foveal-envs {foveal_envs.__version__}, this machine {version}: {install}"
    import agents

    if not hasattr(agents, "AGENTS"):
        return f"`import agents` finds another package, {agents.__file__}: {install}, in an environment of its own"
    return ""
