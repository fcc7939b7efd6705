"""Archives in object stores, through pyarrow: S3, compatible stores, and Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Iterator

from magenet_batch.errors import UsageError
from magenet_batch.jobs.plan.listing import IMAGE_SUFFIXES, Choice, Found, Skipped
from magenet_batch.records.layout import PLAN, RUN
from magenet_batch.storage import StorePath, connect

_NOT_IN_PATHS = frozenset({"", ".", ".."})


def list_store(
    uri: str, *, choice: Choice, skipped: Skipped, may_be_empty: bool = False
) -> Iterator[Found]:
    """List the images below a location in a store, sorted by name; or a single object.

    Args:
        uri: URI such as `s3://bucket/folder`.
        choice: which objects count as images.
        skipped: counts what is left out.
        may_be_empty: whether a location without objects, which no store tells from one that does
            not exist, holds no images; else it is refused. The bucket must exist.

    Raises:
        UsageError: the location does not exist, or a name cannot become a path: it has an empty
            component, `.` or `..`.
        StorageError: the store refuses or does not respond.
    """
    from pyarrow.fs import FileSelector, FileType

    place = StorePath(uri)
    scheme, _, root = str(place).partition("://")
    files = connect(scheme)
    if place.suffix.lower() in IMAGE_SUFFIXES and place.is_file():
        (entry,) = files.get_file_info([root])
        yield Found(place.name, str(place), entry.size, entry.mtime_ns)
        return
    try:
        entries = files.get_file_info(FileSelector(root, recursive=True))
    except FileNotFoundError as error:
        if may_be_empty:
            place.require_bucket()
            return
        raise UsageError(
            f"{uri}: nothing below this name. Give a folder, an image, or a manifest "
            "(.parquet, .pq, .csv, .tsv, .txt, .list)."
        ) from error
    except OSError as error:
        if "NO_SUCH_BUCKET" in str(error):
            raise UsageError(f"{uri} cannot be listed: no such bucket.") from error
        raise place.refused("listed", error) from error
    jobs = _job_outputs([entry.path for entry in entries])
    for entry in sorted(entries, key=lambda e: e.path.split("/")):
        if entry.type != FileType.File:
            continue
        key = entry.path.removeprefix(root).removeprefix("/")
        if any(part.startswith(".") and part not in _NOT_IN_PATHS for part in key.split("/")):
            skipped.hidden += 1
        elif jobs and any(entry.path.startswith(folder) for folder in jobs):
            skipped.outputs += 1
        elif choice.takes(key, skipped):
            if not _NOT_IN_PATHS.isdisjoint(key.split("/")):
                raise UsageError(
                    f"{scheme}://{entry.path}: its name has an empty component, '.' or '..', which "
                    f"no path can have. Rename the object, or leave it out with --exclude '{key}'."
                )
            yield Found(key, f"{scheme}://{entry.path}", entry.size, entry.mtime_ns)


def _job_outputs(paths: list[str]) -> tuple[str, ...]:
    """Locations among some objects that hold the output of a job."""
    runs = {p.removesuffix(RUN) for p in paths if p.endswith(f"/{RUN}")}
    plans = {p.removesuffix(PLAN) for p in paths if p.endswith(f"/{PLAN}")}
    return tuple(runs & plans)
