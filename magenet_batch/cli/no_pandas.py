"""Keeps pandas out of a process that does not need it."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder


class _NoPandas(MetaPathFinder):
    """Says of pandas alone that it is not installed."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Refuse `pandas`; leave everything else to the finders that follow."""
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not needed here", name=fullname)


def do_without_pandas() -> None:
    """Stop pyarrow from importing pandas, which it does at its first scalar where it finds it.

    That takes as long as a fourth of the report of a small archive. For processes of our own
    command line only: a library must not take modules from those who use it.
    """
    if not any(isinstance(finder, _NoPandas) for finder in sys.meta_path):
        sys.meta_path.insert(0, _NoPandas())
