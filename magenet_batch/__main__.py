"""Run `magenet` as `python -m magenet_batch`."""

import sys

from magenet_batch.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
