"""Archives in an object store: a real S3 server on loopback."""

from __future__ import annotations

import urllib.request

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jobs_fakes import fake_factory, outputs

from magenet_batch.errors import ImageError, UsageError
from magenet_batch.jobs.plan.listing import Choice, Skipped
from magenet_batch.jobs.plan.objects import list_store
from magenet_batch.jobs.plan.plan import make_plan
from magenet_batch.jobs.run import run_job
from magenet_batch.jobs.work.content import read_object
from magenet_batch.storage import is_store

pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(endpoint, archive):
    """The tiny archive as objects, beside things that are no images."""
    from pyarrow.fs import S3FileSystem

    urllib.request.urlopen(f"{endpoint}/moto-api/reset", data=b"")
    files = S3FileSystem(endpoint_override=endpoint, region="us-east-1",
                         allow_bucket_creation=True)  # fmt: skip
    files.create_dir("photos")
    for path in sorted(archive.rglob("*")):
        if path.is_file():
            key = f"photos/eyes/{path.relative_to(archive).as_posix()}"
            with files.open_output_stream(key) as stream:
                stream.write(path.read_bytes())
    for name in ("photos/eyes/notes.txt", "photos/eyes/.hidden.png", "photos/other/x.png"):
        with files.open_output_stream(name) as stream:
            stream.write(b"x")
    return files


def test_a_store_is_enhanced_as_a_folder_is(bucket, options, tmp_path):
    run_job(options(out=str(tmp_path / "local")), enhancer_factory=fake_factory)
    given = options(archive=("s3://photos/eyes",))
    summary = run_job(given, enhancer_factory=fake_factory)
    assert summary.exit_code == 0
    assert outputs(tmp_path / "out") == outputs(tmp_path / "local")
    assert run_job(given, enhancer_factory=fake_factory).worked == 0


def test_listing_has_order_sizes_and_counts_what_it_leaves_out(bucket, archive):
    skipped = Skipped()
    found = list(list_store("s3://photos/eyes/", choice=Choice(), skipped=skipped))
    assert [f.key for f in found] == sorted((f.key for f in found), key=lambda k: k.split("/"))
    assert {f.bytes for f in found} == {
        p.stat().st_size for p in archive.rglob("*") if p.is_file()
    }  # fmt: skip
    assert skipped.hidden == 1
    assert skipped.suffixes[".txt"] == 1


def test_an_object_that_vanishes_becomes_a_row(bucket, options):
    given = options(archive=("s3://photos/eyes",))

    def vanish(device, threads):
        bucket.delete_file("photos/eyes/many/2.png")
        return fake_factory(device, threads)

    summary = run_job(given, enhancer_factory=vanish)
    assert summary.counts.outcome.reasons["failed"] == {"unreadable": 1}
    assert summary.counts.images == 9


def test_what_is_not_there_is_said(endpoint, options):
    assert is_store("s3://bucket/a")
    assert not is_store("/s3/bucket")
    with pytest.raises(UsageError, match="cannot be listed"):
        run_job(options(archive=("s3://nobody/has/this",)), enhancer_factory=fake_factory)
    with pytest.raises(ImageError, match="cannot be downloaded"):
        read_object("s3://nobody/x.png", max_pixels=100)


def test_a_manifest_in_a_store_names_objects_beside_it(bucket, options, tmp_path):
    table = pa.table({"path": ["eyes/a.png", "s3://photos/eyes/left/eye.jpg"], "site": ["x", "y"]})
    with bucket.open_output_stream("photos/list.parquet") as stream:
        pq.write_table(table, stream)
    given = options(archive=("s3://photos/list.parquet",))
    assert run_job(given, enhancer_factory=fake_factory).exit_code == 0
    rows = pa.concat_tables(
        [pq.read_table(f) for f in sorted((tmp_path / "out" / "rows").glob("*.parquet"))]
    )
    assert rows["image_id"].to_pylist() == ["eyes/a.png", "eyes/left/eye.jpg"]
    assert rows["status"].to_pylist() == ["enhanced", "enhanced"]
    assert rows["site"].to_pylist() == ["x", "y"]


def test_a_list_in_a_store_names_objects_beside_it(bucket, options):
    with bucket.open_output_stream("photos/eyes/list.txt") as stream:
        stream.write(b"./a.png\ns3://photos/eyes/left/eye.jpg\n")
    plan = make_plan(options(archive=("s3://photos/eyes/list.txt",)))
    sources = plan.table["source"].to_pylist()
    assert sources == ["s3://photos/eyes/a.png", "s3://photos/eyes/left/eye.jpg"]


def test_a_single_object_is_an_archive(bucket, options):
    plan = make_plan(options(archive=("s3://photos/eyes/a.png",)))
    assert plan.table["source"].to_pylist() == ["s3://photos/eyes/a.png"]
    assert plan.table["image_id"].to_pylist() == ["a.png"] and plan.bytes > 0


@pytest.mark.parametrize("name", ["eyes/none", "eyes/none.png", "eyes/a.zip"])
def test_a_name_in_a_store_with_nothing_below_it_is_said(bucket, options, name):
    with pytest.raises(UsageError, match=r"nothing below this name.*manifest"):
        make_plan(options(archive=(f"s3://photos/{name}",)))


def test_names_that_no_path_can_have_are_refused_before_any_work(bucket, endpoint):
    urllib.request.urlopen(
        urllib.request.Request(f"{endpoint}/photos/eyes/twice//x.png", data=b"x", method="PUT")
    )
    with pytest.raises(UsageError, match="empty component"):
        list(list_store("s3://photos/eyes", choice=Choice(), skipped=Skipped()))
    left = Choice(exclude=("twice//*",))
    assert len(list(list_store("s3://photos/eyes", choice=left, skipped=Skipped()))) == 9
