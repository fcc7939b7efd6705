"""What is only asked for help must not wait for torch or ray."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CHECK = "import sys; assert not {'torch', 'ray'} & set(sys.modules), 'heavy imports'"
RUN = "from magenet_batch.cli.main import main; code = main({!r}); assert code == 0, code; "


@pytest.mark.parametrize(
    "code",
    [
        "import magenet_batch; dir(magenet_batch); ",
        RUN.format(["--help"]),
        RUN.format(["--version"]),
        RUN.format(["enhance", "--help"]),
    ],
    ids=["import", "help", "version", "enhance-help"],
)
def test_starts_light_and_fast(code: str):
    times = []
    for _ in range(3):  # the best of three, in CPU seconds: the machine may be busy
        began = children_s()
        done = subprocess.run([sys.executable, "-c", code + CHECK], capture_output=True, text=True)
        times.append(children_s() - began)
        assert done.returncode == 0, done.stderr
        if times[-1] < 1.0:
            break
    assert min(times) < 1.0, f"{min(times):.2f} s"


def children_s() -> float:
    """CPU seconds of all processes that this one has waited for."""
    spent = os.times()
    return spent.children_user + spent.children_system


@pytest.mark.parametrize(("given", "then"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_leave_their_core_to_others(given: str | None, then: str):
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    if given:
        environment["OMP_WAIT_POLICY"] = given
    code = "import os, magenet_batch.cli.main; print(os.environ['OMP_WAIT_POLICY'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == then
