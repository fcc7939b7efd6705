"""A part of a job: for schedulers that start many processes and know nothing of Ray."""

from __future__ import annotations

import re
from typing import NamedTuple

from magenet_batch.errors import UsageError

_WRITTEN = re.compile(r"(\d+)/(\d+)")


class Part(NamedTuple):
    """Every `of`-th shard, beginning with the `number`-th; the parts together are the job.

    Attributes:
        number: 1 .. of.
        of: how many parts there are.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read "3/8".

        Raises:
            UsageError: it is not written so, or there is no such part.
        """
        match = _WRITTEN.fullmatch(text.strip())
        part = cls(int(match[1]), int(match[2])) if match else cls(0, 0)
        if not 1 <= part.number <= part.of:
            raise UsageError(
                f"--part {text}: write it as NUMBER/OF, such as 3/8, from 1/8 to 8/8. "
                'In a Slurm array from 1: --part "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT".'
            )
        return part

    def has(self, shard: int) -> bool:
        """Whether a shard is in this part."""
        return shard % self.of == self.number - 1

    @property
    def label(self) -> str:
        """As it stands in file names."""
        return f"{self.number}-of-{self.of}"
