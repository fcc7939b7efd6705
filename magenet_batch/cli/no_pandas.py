"""Keep pandas out of processes that do not need it."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder


class _NoPandas(MetaPathFinder):
    """An import finder that reports pandas, and nothing else, as not installed."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Refuse `pandas`; leave everything else to the next finders."""
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not needed here", name=fullname)


def do_without_pandas() -> None:
    """Stop pyarrow from importing pandas, which it does at its first scalar if pandas is installed.

    The import takes about a quarter of the time of a small report. Only for processes that this
    command line owns: a library must not hide modules from its users.
    """
    if not any(isinstance(finder, _NoPandas) for finder in sys.meta_path):
        sys.meta_path.insert(0, _NoPandas())
