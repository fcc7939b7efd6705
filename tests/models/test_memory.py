"""Large blocks are reused; measured in a process of its own, because it cannot be undone."""

import ctypes
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from magenet_batch.models.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
network = torch.nn.Sequential(*(torch.nn.Conv2d(16, 16, 1) for _ in range(6)))
picture = torch.rand(1, 16, 900, 900)
with torch.inference_mode():
    faults = []
    for _ in range(8):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        network(picture)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not the GNU C library")
def test_feature_maps_are_reused():
    def faults(how: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert 3 * (1 + faults("keep")) < faults("leave")
