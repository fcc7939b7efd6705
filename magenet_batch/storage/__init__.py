"""Where files lie: a folder of this machine, or a place in an object store.

A folder is a `pathlib.Path`. A place in a store is a `StorePath`, which has those of its methods
that jobs and reports use, so that both are worked with in one way.

Credentials, region and endpoint come from where the stores' own tools look for them, such as
`AWS_PROFILE` and `AWS_ENDPOINT_URL`; nothing of them is kept or logged.
"""

from __future__ import annotations

from magenet_batch.storage.atomic import (
    draft_of,
    put_whole,
    write_atomic,
    write_json,
    write_parquet,
)
from magenet_batch.storage.location import (
    Location,
    Sizes,
    given_location,
    is_below,
    location_of,
    make_location,
    names_in,
    readable,
    stats_in,
)
from magenet_batch.storage.store import (
    FileStat,
    StorePath,
    brief,
    connect,
    is_store,
    refuse_other_schemes,
)

__all__ = [
    "FileStat",
    "Location",
    "Sizes",
    "StorePath",
    "brief",
    "connect",
    "draft_of",
    "given_location",
    "is_below",
    "is_store",
    "location_of",
    "make_location",
    "names_in",
    "put_whole",
    "readable",
    "refuse_other_schemes",
    "stats_in",
    "write_atomic",
    "write_json",
    "write_parquet",
]
