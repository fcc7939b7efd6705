"""A part of a job, for schedulers that start many processes without Ray."""

from __future__ import annotations

import re
from typing import NamedTuple

from magenet_batch.errors import UsageError

_WRITTEN = re.compile(r"(\d+)/(\d+)")


class Part(NamedTuple):
    """Every `of`-th shard, starting with the `number`-th; together the parts are the job.

    Attributes:
        number: number of this part, 1 .. `of`.
        of: number of parts.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Parse a text such as "3/8".

        Raises:
            UsageError: the text has another form, or there is no such part.
        """
        match = _WRITTEN.fullmatch(text.strip())
        part = cls(int(match[1]), int(match[2])) if match else cls(0, 0)
        if not 1 <= part.number <= part.of:
            raise UsageError(
                f"--part {text}: use the form NUMBER/OF, such as 3/8, from 1/8 to 8/8. "
                'In a Slurm array from 1: --part "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT".'
            )
        return part

    def has(self, shard: int) -> bool:
        """Whether a shard belongs to this part."""
        return shard % self.of == self.number - 1

    @property
    def label(self) -> str:
        """Text for file names."""
        return f"{self.number}-of-{self.of}"
