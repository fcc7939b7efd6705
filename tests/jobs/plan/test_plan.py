"""Which images a job works on, and where each goes."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jobs_fakes import write_image

from magenet_batch.errors import UsageError
from magenet_batch.jobs.plan.plan import Plan, describe_plan, make_plan, tasks_of
from magenet_batch.jobs.plan.relist import differences
from magenet_batch.jobs.plan.shards import shard_size_for


def ids(plan: Plan) -> list[str]:
    return plan.table["image_id"].to_pylist()


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_order_is_stable_and_others_are_counted(options, archive):
    touch(archive / "notes.txt")
    touch(archive / ".hidden.jpg")
    touch(archive / ".git" / "x.jpg")
    plan = make_plan(options())
    assert ids(plan) == [
        "a.jpg", "a.png", "deep/er/x.tif", "left/eye.jpg",
        "many/0.png", "many/1.png", "many/2.png", "many/3.png", "right/eye.jpg",
    ]  # fmt: skip
    assert plan.skipped.suffixes == {".txt": 1} and plan.skipped.hidden == 2
    assert "1 .txt" in describe_plan(plan)
    assert "notes.txt" in ids(make_plan(options(include=("*",))))


def test_globs_choose(options):
    assert ids(make_plan(options(include=("*.jpg",), exclude=("left/*",)))) == [
        "a.jpg",
        "right/eye.jpg",
    ]
    assert ids(make_plan(options(limit=2))) == ["a.jpg", "a.png"]


def test_links_in_a_circle_end(options, archive):
    (archive / "left" / "up").symlink_to(archive)
    (archive / "self").symlink_to(archive / "self")
    plan = make_plan(options())
    assert len(plan) == 9 and plan.skipped.loops == 1


def test_the_output_folder_is_never_input(options, archive):
    inside = archive / "results"
    write_image(inside / "images" / "old.jpg")
    assert len(make_plan(options(out=str(inside)))) == 9
    touch(archive / "earlier" / "run.json")
    touch(archive / "earlier" / "plan.parquet")
    write_image(archive / "earlier" / "images" / "old.jpg")
    plan = make_plan(options(out=str(inside)))
    assert len(plan) == 9 and plan.skipped.outputs == 2


@pytest.mark.parametrize("out", [".", ".."])
def test_originals_cannot_be_overwritten(options, archive, out):
    with pytest.raises(UsageError, match="originals could be overwritten"):
        make_plan(options(out=str(archive / out)))


def test_collisions_are_refused_without_regard_to_case(options, archive):
    touch(archive / "A.JPG")
    with pytest.raises(UsageError, match=r"1 images would overwrite others"):
        make_plan(options())


def test_unknown_formats_get_a_suffix_of_their_own(options, archive):
    touch(archive / "a.gif")
    touch(archive / "bare")
    plan = make_plan(options(include=("*",)))
    outputs = dict(zip(ids(plan), plan.table["output"].to_pylist(), strict=True))
    assert outputs["a.gif"] == "images/a.gif.png"
    assert outputs["bare"] == "images/bare", "as DICOM files often are; the content decides"
    assert outputs["a.png"] == "images/a.png"


def test_several_inputs_stay_apart(options, archive, tmp_path):
    other = tmp_path / "other"
    write_image(other / "a.jpg")
    single = write_image(tmp_path / "one.png")
    plan = make_plan(options(archive=(str(archive / "left"), str(other), str(single))))
    assert ids(plan) == ["left/eye.jpg", "other/a.jpg", "one.png"]


def test_a_name_that_is_no_utf8_is_kept(options, archive):
    name = os.fsdecode(b"caf\xe9.jpg")
    write_image(archive / "tmp.jpg").rename(archive / name)
    plan = make_plan(options(include=("caf*",)))
    task = tasks_of(plan.slice(0, [0]))[0]
    assert task.image_id == "caf\\xe9.jpg" and task.path == archive / name and task.path.exists()


def test_an_empty_archive_says_why(options, tmp_path):
    touch(tmp_path / "texts" / "a.txt")
    with pytest.raises(UsageError, match=r"No images in[\s\S]*1 .txt"):
        make_plan(options(archive=(str(tmp_path / "texts"),)))
    with pytest.raises(UsageError, match="one of these files a manifest"):
        make_plan(options(archive=(str(tmp_path / "texts"),)))
    with pytest.raises(UsageError, match="no such folder or file"):
        make_plan(options(archive=(str(tmp_path / "nowhere"),)))


@pytest.mark.parametrize("name", ["list.xlsx", "list.json", "list.csv.gz", "archive.zip", "list"])
def test_a_file_that_is_neither_image_nor_manifest_is_refused_at_once(options, tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\3\4 one.png")
    with pytest.raises(UsageError, match=r"neither an image nor a manifest.*\.tsv"):
        make_plan(options(archive=(str(tmp_path / name),)))


@pytest.mark.parametrize("name", ["eye", "eye.1", "eye.xlsx", "eye.mpo", "eye.jfif"])
def test_a_single_image_may_have_any_name(options, tmp_path, name):
    write_image(tmp_path / "eye.jpg").rename(tmp_path / name)
    assert ids(make_plan(options(archive=(str(tmp_path / name),)))) == [name]


def test_a_damaged_image_is_an_image_and_a_pipe_is_not(options, tmp_path):
    touch(tmp_path / "eye.jpg")
    assert ids(make_plan(options(archive=(str(tmp_path / "eye.jpg"),)))) == ["eye.jpg"]
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match=r"neither a folder nor a file.*standard input"):
        make_plan(options(archive=(str(tmp_path / "pipe"),)))


@pytest.mark.parametrize("given", [{"archive": ("",)}, {"out": " "}, {"root": ""}])
def test_empty_paths_are_not_the_working_directory(options, given):
    with pytest.raises(UsageError, match="is empty"):
        make_plan(options(**given))


@pytest.mark.parametrize("name", ["archive", "out", "root"])
def test_home_folders_of_nobody_are_refused_in_words(options, manifest, name):
    wrong = "~no-such-user/eyes"
    given = {"archive": (manifest(["a.jpg"]),), name: (wrong,) if name == "archive" else wrong}
    with pytest.raises(UsageError, match=r"no home folder.*write \./~no-such-user"):
        make_plan(options(**given))


def test_a_plan_survives_its_file(options, tmp_path):
    plan = make_plan(options(shard_size=4))
    plan.save(tmp_path / "plan.parquet")
    again = Plan.load(tmp_path / "plan.parquet")
    assert again == plan and (again.shards, again.shard_rows(2)) == (3, 1)
    assert differences(plan, again) == []


def test_shards_depend_on_the_plan_alone():
    sizes = {1: 2, 20: 2, 320: 10, 5_000: 64, 200_000: 64, 1_000_000: 250, 10_000_000: 500}
    assert {n: shard_size_for(n) for n in sizes} == sizes
    assert shard_size_for(40_000_000) == 2_000, "never more than 20,000 files"


@pytest.fixture
def manifest(tmp_path):
    def make(paths, **columns) -> str:
        table = {"id": list(range(len(paths))), "filename": paths} | columns
        pq.write_table(pa.table(table), tmp_path / "m.parquet")
        return str(tmp_path / "m.parquet")

    return make


def test_a_manifest_guesses_its_column_and_resolves_paths(options, manifest, archive):
    path = manifest(["archive/a.jpg", str(archive / "a.png"), "archive/left/../a.gif"])
    plan = make_plan(options(archive=(path,)))
    assert ids(plan) == ["archive/a.jpg", "archive/a.png", "archive/a.gif"]
    assert plan.extra_schema.names == ["id"]
    assert plan.table["source"][0].as_py() == str(archive / "a.jpg")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a.jpg", "b.jpg", "./a.jpg"], r"row 3: 'a.jpg' is already in row 1"),
        (["a.jpg", "../../etc/passwd"], r"row 2.*'\.\./\.\./etc/passwd' is not inside"),
        (["/etc/passwd"], r"row 1.*is not inside"),
        (["a.jpg", None], r"row 2.*is null"),
        (["  "], r"row 1.*is empty"),
        (["a\0.jpg"], r"row 1.*null character"),
    ],
)
def test_bad_manifest_rows_are_named(options, manifest, paths, message):
    with pytest.raises(UsageError, match=message):
        make_plan(options(archive=(manifest(paths),)))


def test_a_manifest_without_paths_lists_its_columns(options, manifest, tmp_path):
    pq.write_table(pa.table({"eye": ["L"], "age": [70]}), tmp_path / "x.parquet")
    with pytest.raises(UsageError, match=r"--path-column; the columns are: eye, age"):
        make_plan(options(archive=(str(tmp_path / "x.parquet"),)))
    with pytest.raises(UsageError, match="did you mean 'filename'"):
        make_plan(options(archive=(manifest(["a.jpg"]),), path_column="filenam"))
    (tmp_path / "bad.parquet").write_bytes(b"PAR0")
    with pytest.raises(UsageError, match="not a readable Parquet file"):
        make_plan(options(archive=(str(tmp_path / "bad.parquet"),)))


def test_names_that_differ_in_the_encoding_of_accents_are_told_so(options, archive):
    touch(archive / "\u00e9.jpg")
    touch(archive / "e\u0301.jpg")
    with pytest.raises(UsageError, match="encoding of accents"):
        make_plan(options())


def test_a_file_where_another_needs_a_folder_is_found_before_any_work(options, archive):
    """`x.bmp` becomes `x.bmp.png`, which is a folder of the archive."""
    touch(archive / "x.bmp.png" / "y.jpg")
    assert len(make_plan(options())) == 10
    touch(archive / "x.bmp")
    with pytest.raises(UsageError, match="needs a folder"):
        make_plan(options())


def test_an_output_folder_in_the_archive_is_told(options, archive):
    plan = make_plan(options(out=str(archive / "results")))
    assert "the output folder is inside the archive" in describe_plan(plan)
    assert "inside the archive" not in describe_plan(make_plan(options()))
