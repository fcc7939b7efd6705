"""Training on several GPUs through Ray Train; the only module of training that uses Ray."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from magenet_batch.errors import UsageError, require_extra
from magenet_batch.training.group import Group


def train_in_processes(
    work: Callable[[Group], object], *, processes: int, gpus: bool, storage: Path
) -> None:
    """Run the same work in several communicating processes, and wait for all of them.

    Args:
        work: called in each process with its place in the group; must be picklable.
        processes: number of processes.
        gpus: give each process a GPU; otherwise they share the CPU cores.
        storage: folder for the files of Ray Train.

    Raises:
        UsageError: there are fewer GPUs than processes.
        MissingExtraError: Ray Train is not installed.
    """
    require_extra("train", modules=("pandas", "tensorboardX"), purpose="run.processes above 1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer, get_device

    if not ray.is_initialized():
        ray.init(
            address="local", include_dashboard=False, object_store_memory=200 * 1024**2,
            log_to_driver=True, _node_ip_address="127.0.0.2",
            num_cpus=max(os.cpu_count() or 1, processes + 1),
        )  # fmt: skip
    resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
    found = int(resources.get("GPU", 0))
    if gpus and found < processes:
        raise UsageError(
            f"run.processes = {processes}, but {found} GPUs are visible to Ray: lower "
            "run.processes or set run.device = 'cpu'"
        )
    here = Path.cwd()

    def in_process() -> None:
        from ray import train

        os.chdir(here)  # folders in recipes are relative to the directory of the command
        context = train.get_context()
        device = str(get_device()) if gpus else ""
        work(Group(context.get_world_rank(), context.get_world_size(), device))

    scaling = ScalingConfig(
        num_workers=processes, use_gpu=gpus, resources_per_worker=None if gpus else {"CPU": 1}
    )
    # The other processes wait while the leader trains the structure module.
    backend = TorchConfig(backend="nccl" if gpus else "gloo", timeout_s=6 * 3600)
    try:
        TorchTrainer(
            in_process, scaling_config=scaling, torch_config=backend,
            run_config=RunConfig(storage_path=str(storage.absolute())),
        ).fit()  # fmt: skip
    finally:
        ray.shutdown()
