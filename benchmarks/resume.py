"""Resuming a job of a million images: time until the first image, and the driver's memory.

    python benchmarks/resume.py [--rows 1000000] [--folder REUSED]
        [-o benchmarks/results/resume.json]

Makes an archive and a job on it in which all shards but one are done (`million.py`), then resumes
it in a separate process that is stopped at its first image. Making the archive takes minutes: an
archive and a job in `--folder` are used again.
"""

from __future__ import annotations

import time
from pathlib import Path

from million import compare_first_image, parser_of, until_first_image

from magenet_batch.jobs.plan.relist import ArchiveCheck


def resume(folder: Path) -> dict[str, float]:
    """Resume until the first image; then let the check of the archive finish, to time it."""
    ends: list[float] = []
    check = ArchiveCheck._same

    def timed(self: ArchiveCheck) -> bool:
        same = check(self)
        ends.append(time.perf_counter())
        return same

    ArchiveCheck._same = timed  # type: ignore[method-assign]
    ArchiveCheck.abandon = ArchiveCheck.finish  # type: ignore[method-assign]
    clock, _, figures = until_first_image(folder)
    return figures | {"checked_s": ends[0] - clock.began}


if __name__ == "__main__":
    compare_first_image(parser_of(__doc__).parse_args(), left=1, measure=resume)
