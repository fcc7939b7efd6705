"""The program `magenet`: it runs the command line, and ends with its exit code whatever happens."""

from __future__ import annotations

import atexit
import os
import sys

_code = 1  # unless the command ends in an orderly way


def program() -> int:
    """Run the command line as a process of its own.

    Libraries in C++ (Arrow, gRPC, torch) have threads that may be starting or ending when a short
    command is over. Destroying their objects at that moment can abort the process, with
    exit code 134, though all of its work is done. So the process ends right after Python's own exit
    handlers: what is registered first runs last.

    Returns:
        The exit code.
    """
    global _code
    atexit.register(_end)
    from magenet_batch.cli.main import main

    _code = main()
    return _code


def _end() -> None:
    """End the process; output that cannot be written is a failure."""
    code = _code
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # it is gone, closed, or was never there
            code = code or int(stream is sys.stdout)
    os._exit(code)
