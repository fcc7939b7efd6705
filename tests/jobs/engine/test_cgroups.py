"""Workers are counted within the limits of containers and schedulers."""

import pytest

from magenet_batch.jobs.engine import machine
from magenet_batch.jobs.engine.cgroups import cpu_limit, memory_left

GIB = 1 << 30
V1 = "12:pids:/x\n4:cpu,cpuacct:{0}\n5:memory:{0}\n1:name=systemd:/x\n"
JOB = "/slurm/uid_1000/job_7"


@pytest.fixture
def groups(tmp_path):
    """Write fake cgroup files; give the arguments of both functions."""

    def write(membership, files):
        (tmp_path / "membership").write_text(membership)
        for name, content in files.items():
            path = tmp_path / "mount" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return {"membership": tmp_path / "membership", "mount": tmp_path / "mount"}

    return write


@pytest.mark.parametrize(
    ("membership", "files", "cores", "left"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n", "memory.max": f"{8 * GIB}\n",
                    "memory.current": f"{3 * GIB}\n", "memory.stat": f"inactive_file {GIB}\n"},
         2, 6 * GIB),
        ("0::/\n", {"cpu.max": "max 100000\n", "memory.max": "max\n"}, None, None),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 0.5, None),
        # The limit of a parent holds too, and the smallest one wins.
        (f"0::{JOB}/step_0\n", {f"{JOB[1:]}/step_0/cpu.max": "max 100000",
                                f"{JOB[1:]}/cpu.max": "400000 100000",
                                "slurm/cpu.max": "1600000 100000",
                                f"{JOB[1:]}/memory.max": str(4 * GIB),
                                f"{JOB[1:]}/memory.current": str(GIB),
                                "slurm/memory.max": str(64 * GIB)}, 4, 3 * GIB),
        # The path of the host, in a container that sees only its own group.
        ("0::/system.slice/docker-abc.scope\n", {"cpu.max": "150000 100000",
                                                 "memory.max": str(GIB)}, 1.5, GIB),
        ("0::/../../other\n", {"cpu.max": "100000 100000"}, 1, None),
        (V1.format("/docker/abc"), {"cpu,cpuacct/cpu.cfs_quota_us": "300000\n",
                                    "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
                                    "memory/memory.limit_in_bytes": str(2 * GIB),
                                    "memory/memory.usage_in_bytes": str(GIB),
                                    "memory/memory.stat": f"cache 5\ntotal_inactive_file {GIB}"},
         3, 2 * GIB),
        (V1.format(JOB + "/step_0"), {f"cpu{JOB}/cpu.cfs_quota_us": "800000",
                                      f"cpu{JOB}/cpu.cfs_period_us": "100000",
                                      f"memory{JOB}/memory.limit_in_bytes": str(16 * GIB),
                                      f"memory{JOB}/step_0/memory.limit_in_bytes":
                                          "9223372036854771712"}, 8, 16 * GIB),
        (V1.format("/"), {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000",
                          "memory/memory.limit_in_bytes": "9223372036854771712"}, None, None),
        ("", {}, None, None),
        ("garbage\n0:\n:::\n", {"cpu.max": "nonsense", "memory.max": "-"}, None, None),
    ],
)  # fmt: skip
def test_limits_are_found(groups, membership, files, cores, left):
    where = groups(membership, files)
    assert cpu_limit(**where) == cores
    assert memory_left(**where) == left


def test_without_control_groups_there_is_no_limit(tmp_path):
    where = {"membership": tmp_path / "none", "mount": tmp_path / "none"}
    assert cpu_limit(**where) is None and memory_left(**where) is None


@pytest.mark.parametrize(("limit", "count"), [(None, 8), (2.0, 2), (1.5, 1), (0.5, 1), (99.0, 8)])
def test_cores_are_counted_within_the_quota(monkeypatch, limit, count):
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "cpu_limit", lambda: limit)
    assert machine.cpu_count() == count


def test_workers_are_counted_within_the_memory_of_the_group(monkeypatch):
    monkeypatch.setattr(machine, "memory_left", lambda: 3 * machine.WORKER_BYTES + 1)
    monkeypatch.setattr(machine.psutil, "virtual_memory",
                        lambda: type("M", (), {"available": 1 << 40}))  # fmt: skip
    chosen = machine.allocate_workers(workers=None, gpus=0, images=99, cpus=16, gpus_there=0)
    assert (chosen.workers, chosen.threads) == (3, 5)
    monkeypatch.setattr(machine, "memory_left", lambda: None)
    chosen = machine.allocate_workers(workers=None, gpus=0, images=99, cpus=16, gpus_there=0)
    assert chosen.workers == 16
