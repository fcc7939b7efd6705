"""`python -m magenet_batch` is the command line."""

import subprocess
import sys

from magenet_batch import __version__


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "magenet_batch", *arguments], capture_output=True, text=True
    )


def test_it_is_the_same_program():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"magenet {__version__}\n")


def test_it_ends_with_the_same_exit_codes():
    done = run("enhanse")
    assert done.returncode == 2 and "Usage: magenet" in done.stderr
