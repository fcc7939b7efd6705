"""Pandas is refused, everything else is found, and twice is once."""

import subprocess
import sys


def test_only_pandas_is_refused():
    code = (
        "import sys\n"
        "from magenet_batch.cli.no_pandas import do_without_pandas\n"
        "do_without_pandas()\n"
        "before = list(sys.meta_path)\n"
        "do_without_pandas()\n"
        "assert sys.meta_path == before\n"
        "import pyarrow as pa\n"
        "assert pa.array([1, None]).null_count == 1 and pa.scalar(3).as_py() == 3\n"
        "import email.policy\n"
        "try:\n"
        "    import pandas\n"
        "except ImportError as error:\n"
        "    assert error.name == 'pandas'\n"
        "else:\n"
        "    raise SystemExit('pandas was imported')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
