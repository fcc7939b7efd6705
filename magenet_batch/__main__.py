"""Run `magenet` as `python -m magenet_batch`."""

import sys

from magenet_batch.cli.program import program

if __name__ == "__main__":
    sys.exit(program())
