"""Names in the output folder of a job: the only definition of its layout.

```
out/
  images/...                 mirrors the archive's tree; with `--sidecar json`, a file for each row
  evidence/...               pictures of what changed, with `--evidence`
  review/previews/...        small pictures of enhanced images that were withheld
  review/set-aside/...       enhanced images that a reviewer withheld
  review/pending.json        only while decisions are applied
  rows/part-000000.parquet   one file per finished shard: the only commit mark
  sent/...                   what `magenet send` stored, by server and shard
  verified/...               what `magenet verify` found, and damaged outputs that it set aside
  remeasure.json             only while rows are measured again
  plan.parquet               the frozen list of images
  generations/...            images that joined later, and changes of earlier ones, with `--append`
  run.json                   the job's identity and every run
  croissant.json             the data card, when the job is complete
  log.jsonl                  events of the job
  .magenet.lock              while a job is running; in a store it may stay, and says so
```
"""

from __future__ import annotations

import os
import re

from magenet_batch.records.part import Part
from magenet_batch.storage import Location, names_in, names_like, sha256_of

IMAGES, EVIDENCE, ROWS = "images", "evidence", "rows"
PREVIEWS, SET_ASIDE, PENDING = "review/previews", "review/set-aside", "review/pending.json"
PLAN, GENERATIONS, RUN = "plan.parquet", "generations", "run.json"
SENT, VERIFIED, REMEASURE = "sent", "verified", "remeasure.json"
CARD = "croissant.json"
LOCK_GLOB = ".magenet*.lock"
LONGEST_NAME = 255
"""Bytes of a file name on the usual file systems."""
TEMPORARY_GLOB = ".*.tmp"
_ROWS_NAME = re.compile(r"part-(\d{6,})\.parquet")


def rows_file(out: Location, shard: int) -> Location:
    """The rows file of a shard."""
    return out / ROWS / f"part-{shard:06d}.parquet"


def finished_shards(out: Location) -> set[int]:
    """The shards whose rows file is in place."""
    found = (_ROWS_NAME.fullmatch(name) for name in names_in(out / ROWS))
    return {int(match[1]) for match in found if match}


def sent_file(out: Location, server: str, shard: int) -> Location:
    """The record of what was sent of a shard to a server, whose address may not be a name."""
    digest = sha256_of(server.encode())[:12]
    return out / SENT / digest / f"part-{shard:06d}.json"


def verified_file(out: Location, shard: int) -> Location:
    """What an unfinished verification found in a shard."""
    return out / VERIFIED / f"part-{shard:06d}.json"


def damaged_name(output: str) -> str:
    """Where a damaged output is set aside."""
    return f"{VERIFIED}/damaged/{output}"


def state_name(part: Part | None) -> str:
    """File that records the runs of a job, or of a part of one."""
    return RUN if part is None else f"run-{part.label}.json"


def state_files(out: Location) -> list[Location]:
    """Files that record the runs of a job and its parts, in order."""
    return [out / name for name in names_like(out, "run*.json")]


def log_name(part: Part | None) -> str:
    """Event log of a job, or of a part of one."""
    return "log.jsonl" if part is None else f"log-{part.label}.jsonl"


def lock_name(part: Part | None) -> str:
    """Lock of a job, or of a part of one."""
    return ".magenet.lock" if part is None else f".magenet-{part.label}.lock"


def probe_name(token: str) -> str:
    """File that tells what the clock of a folder shows; removed at once."""
    return f".magenet-probe-{token}.tmp"


def original_name(key: str) -> str:
    """Output name of an image that is delivered as it came: its own path and name.

    No enhanced image can have the same name: an image whose name fits its format keeps that name,
    and two images that would collide are refused before the job starts.
    """
    return f"{IMAGES}/{key}"


def is_renamed(output: str, *, key: str) -> bool:
    """Whether an output's name differs from its source's."""
    return output != original_name(key)


def evidence_name(key: str) -> str:
    """Name of the picture of what changed in an image; a hash shortens what would not fit."""
    return _fitting(EVIDENCE, key, ".jpg")


def sidecar_name(key: str) -> str:
    """Name of the file that holds an image's row as JSON; shortened likewise."""
    return _fitting(IMAGES, key, ".magenet.json")


def _fitting(place: str, key: str, suffix: str) -> str:
    folder, _, name = f"{place}/{key}{suffix}".rpartition("/")
    whole = os.fsencode(name)
    if len(whole) > LONGEST_NAME:
        digest = sha256_of(os.fsencode(key))[:16]
        name = f"{whole[: LONGEST_NAME - 32].decode('utf-8', 'ignore')}~{digest}{suffix}"
    return f"{folder}/{name}"


def lies_in(place: str, name: str | None) -> bool:
    """Whether a name from a row, relative to the output folder, lies below one of its folders."""
    return name is not None and name.startswith(f"{place}/") and ".." not in name.split("/")


def preview_name(key: str) -> str:
    """Where the small picture of an enhanced image that was withheld goes; shortened likewise."""
    return _fitting(PREVIEWS, key, ".jpg")


def set_aside_name(output: str) -> str:
    """Where an enhanced image goes that a reviewer withheld."""
    return f"{SET_ASIDE}/{output}"


def folders_beside(outputs: str) -> list[str]:
    """The folders of all that is written beside a folder of outputs."""
    below = outputs.removeprefix(IMAGES)
    return [f"{EVIDENCE}{below}", f"{PREVIEWS}{below}", set_aside_name(outputs)]
