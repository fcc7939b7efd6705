"""What of a job's outputs is to be sent, and what was sent already: one record per shard."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from magenet_batch.errors import UsageError
from magenet_batch.records.layout import finished_shards, is_renamed, rows_file, sent_file
from magenet_batch.storage import Location, sha256_of, write_json

_COLUMNS = ["image_id", "output", "format"]


@dataclass
class SentShard:
    """The DICOM outputs of a shard, and which of them a server has.

    Attributes:
        file: the record, in the output folder.
        server: address of the server.
        rows: SHA-256 of the shard's rows file: reviews and retries change it, and the outputs.
        outputs: the delivered DICOM images, relative to the output folder.
        sent: output -> identifier of the instance that the server has.
        known_rows: SHA-256 of the rows file when `sent` was recorded.
    """

    file: Location
    server: str
    rows: str
    outputs: list[str]
    sent: dict[str, str] = field(default_factory=dict)
    known_rows: str = ""

    @property
    def left(self) -> list[str]:
        """The outputs that are not known to be on the server; all, if the rows have changed."""
        if self.known_rows != self.rows:
            return list(self.outputs)
        return [output for output in self.outputs if output not in self.sent]

    def save(self) -> None:
        """Write the record.

        Raises:
            StorageError: it cannot be written.
        """
        still = {output: self.sent[output] for output in self.outputs if output in self.sent}
        write_json({"server": self.server, "rows": self.rows, "sent": still}, self.file)


def shards_to_send(out: Location, server: str) -> Iterator[SentShard]:
    """Yield the shards of a job with DICOM outputs, in order.

    Args:
        out: output folder of a job.
        server: address of the server.

    Raises:
        UsageError: a rows file cannot be read.
    """
    for number in sorted(finished_shards(out)):
        path = rows_file(out, number)
        try:
            content = path.read_bytes()
            # Without threads, which would still be starting when a command ends at once.
            opened = pq.ParquetFile(pa.BufferReader(content), pre_buffer=False)
            table = opened.read(_COLUMNS, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise UsageError(f"{path}: not readable as Parquet ({error}).") from error
        outputs = [
            output
            for key, output, kind in zip(*(c.to_pylist() for c in table.columns), strict=True)
            if output is not None and kind == "dicom" and not is_renamed(output, key=key)
        ]
        if not outputs:
            continue
        file = sent_file(out, server, number)
        shard = SentShard(file, server, sha256_of(content), outputs)
        # A record that cannot be read costs a question for each image, nothing else.
        with contextlib.suppress(OSError, ValueError, KeyError, AttributeError):
            found = json.loads(file.read_text(encoding="utf-8"))
            shard.sent = {str(k): str(v) for k, v in found["sent"].items()}
            shard.known_rows = str(found["rows"])
        yield shard
