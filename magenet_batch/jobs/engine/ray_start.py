"""Start Ray on this machine, or join a cluster.

Ray is imported only here, because it reads its environment when it is imported.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Ray reads these variables when it is imported: no telemetry.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# A cluster that is started here requires a token; when Ray joins one, it does not look for a token.
_TOKEN = "RAY_AUTH_TOKEN" in os.environ or (Path.home() / ".ray" / "auth_token").is_file()
if _TOKEN and "ray" not in sys.modules:  # later, Ray would apply it only partly
    os.environ.setdefault("RAY_AUTH_MODE", "token")

import ray  # noqa: E402
from ray.exceptions import RayError, RayTaskError  # noqa: E402

from magenet_batch.errors import JobError  # noqa: E402

__all__ = ["RayError", "RayTaskError", "cluster_resources", "connect", "first_line", "ray"]

OBJECT_STORE_BYTES = 200_000_000
LOOPBACK = "127.0.0.2"
"""Ray rewrites 127.0.0.1 to the host's address; this address stays on loopback."""
_THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_NOT_NEEDED = ("start_monitor", "start_log_monitor", "start_api_server")
"""Methods of Ray's node that start its autoscaler, log reader and dashboard."""


def cluster_resources(address: str) -> dict[str, float]:
    """CPUs and GPUs of a running cluster; connects to it.

    Raises:
        JobError: no cluster answers at that address.
    """
    connect(0, gpus=0, address=address, threads=1)
    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]


def connect(
    workers: int, *, gpus: int, address: str | None, threads: int, preload: tuple[str, ...] = ()
) -> None:
    """Start Ray here, or join a cluster; does nothing if that was done before.

    Args:
        workers: number of processes that a cluster started here has ready.
        gpus: number of GPUs of a cluster started here.
        address: address of a running cluster; None starts one here, on loopback only.
        threads: CPU threads of a worker.
        preload: modules that processes of a cluster started here import in advance.

    Raises:
        JobError: Ray does not start, or no cluster answers.
    """
    if ray.is_initialized():
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    counts = dict.fromkeys(_THREAD_COUNTS, str(threads))
    counts["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY", "PASSIVE")  # reason: cli/main.py
    try:
        if address is None:
            # Workers inherit it; a runtime environment would take Ray seconds to set up.
            settings = {
                **counts,
                "RAY_preload_python_modules": ",".join(preload),
                "RAY_enable_worker_prestart": "1",  # in parallel with Ray's own start, not after it
            }
            with _environment(settings), _bare_node():
                ray.init(
                    address="local", num_cpus=max(1, workers), num_gpus=gpus,
                    include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES,
                    _node_ip_address=LOOPBACK, **quiet,
                )  # fmt: skip
        else:
            ray.init(address=address, runtime_env={"env_vars": counts}, **quiet)
    except Exception as error:  # Ray raises generic errors when a machine is too busy
        where = "on this machine" if address is None else f"at {address}"
        raise JobError(
            f"Ray cannot start {where}: {first_line(error).rstrip('.')}. "
            "`magenet doctor` checks this machine; --workers 0 runs without Ray."
        ) from error


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for processes started inside, and restore them afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: value for name, value in values.items() if value})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _bare_node() -> Iterator[None]:
    """Start Ray's node without services that a job on one machine does not need.

    Each would take a second of a core before the first image, and Ray waits for its dashboard even
    if it is switched off. Ray has no public options for this; a version with other internals simply
    starts with all services.
    """
    node = getattr(getattr(ray._private, "node", None), "Node", object)
    before = {name: getattr(node, name) for name in _NOT_NEEDED if hasattr(node, name)}
    try:
        for name in before:
            setattr(node, name, lambda self, **options: None)
        yield
    finally:
        for name, method in before.items():
            setattr(node, name, method)


def first_line(error: BaseException) -> str:
    """First line of an error's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
