"""`python -m magenet_batch` is the command line."""

import signal
import subprocess
import sys

import pytest

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


ABORTS = """
import ctypes, sys
c = ctypes.CDLL(None)
c.__cxa_atexit(c.abort, None, None)  # as a library in C++ whose threads still run
sys.argv = ["magenet", *{arguments}]
from {module} import {name}
sys.exit({name}())
"""


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["enhanse"], 2)])
def test_the_exit_code_holds_whatever_libraries_do_in_the_end(arguments, code):
    def ends(module: str, name: str) -> subprocess.CompletedProcess[str]:
        text = ABORTS.format(arguments=arguments, module=module, name=name)
        return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)

    assert ends("magenet_batch.cli.main", "main").returncode == -signal.SIGABRT
    done = ends("magenet_batch.cli.program", "program")
    assert done.returncode == code
    assert (done.stdout == f"magenet {__version__}\n") == (code == 0)


def test_an_error_that_nobody_expects_is_a_failure_with_its_traceback():
    text = ABORTS.format(arguments=["--version"], module="magenet_batch.cli.program",
                         name="program")  # fmt: skip
    broken = "import magenet_batch.cli.main as m\nm.main = lambda: 1 / 0\n" + text
    done = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True)
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr


def test_output_that_cannot_be_written_is_a_failure():
    command = f'"{sys.executable}" -m magenet_batch --version > /dev/full'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 1
