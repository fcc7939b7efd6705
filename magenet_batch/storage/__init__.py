"""Locations of files: a folder on this machine, or a prefix in an object store.

A folder is a `pathlib.Path`. A location in a store is a `StorePath`, which has those methods of
`Path` that jobs and reports use, so that the same code handles both.

Credentials, region and endpoint come from the places that the stores' own tools use, such as
`AWS_PROFILE` and `AWS_ENDPOINT_URL`; none of them is stored or logged.
"""

from __future__ import annotations

from magenet_batch.storage.atomic import (
    NO_FAULT_OF_A_FILE,
    draft_of,
    flush_names,
    parquet_bytes,
    put_whole,
    refused,
    remove_file,
    write_atomic,
    write_json,
    write_new,
    write_parquet,
)
from magenet_batch.storage.conditional import (
    ConditionalPuts,
    ConditionsUnsupportedError,
    Version,
    Versioned,
)
from magenet_batch.storage.connection import (
    Client,
    brief,
    connect,
    is_store,
    refuse_other_schemes,
)
from magenet_batch.storage.digest import sha256_of
from magenet_batch.storage.location import (
    Location,
    Sizes,
    expanded,
    given_location,
    is_below,
    location_of,
    make_location,
    names_in,
    names_like,
    readable,
    stats_in,
)
from magenet_batch.storage.store import FileStat, StorePath

__all__ = [
    "NO_FAULT_OF_A_FILE",
    "Client",
    "ConditionalPuts",
    "ConditionsUnsupportedError",
    "FileStat",
    "Location",
    "Sizes",
    "StorePath",
    "Version",
    "Versioned",
    "brief",
    "connect",
    "draft_of",
    "expanded",
    "flush_names",
    "given_location",
    "is_below",
    "is_store",
    "location_of",
    "make_location",
    "names_in",
    "names_like",
    "parquet_bytes",
    "put_whole",
    "readable",
    "refuse_other_schemes",
    "refused",
    "remove_file",
    "sha256_of",
    "stats_in",
    "write_atomic",
    "write_json",
    "write_new",
    "write_parquet",
]
