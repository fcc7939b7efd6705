"""Manifests of every kind: each names the same images, or is refused with the way out."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jobs_fakes import fake_factory

from magenet_batch.errors import UsageError
from magenet_batch.jobs.plan import tables
from magenet_batch.jobs.plan.plan import Plan, make_plan
from magenet_batch.jobs.run import run_job
from magenet_batch.records.columns import same_values
from magenet_batch.report.build import FORMATS, build_report

PATHS = ["right/eye.jpg", "a.png", "deep/er/x.tif"]
SITES = ["x", "y", "x"]


def named(plan: Plan) -> list[tuple[str, str]]:
    columns = (plan.table["image_id"], plan.table["source"])
    return list(zip(*(c.to_pylist() for c in columns), strict=True))


@pytest.fixture
def expected(archive: Path) -> list[tuple[str, str]]:
    return [(path, str(archive.resolve() / path)) for path in PATHS]


def standard_input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    tables.standard_input.cache_clear()
    stream = io.TextIOWrapper(io.BytesIO(content))
    monkeypatch.setattr("sys.stdin", stream)


def write(kind: str, archive: Path) -> Path:
    """A manifest of some kind in the archive's folder."""
    columns = pa.table({"path": PATHS, "site": SITES})
    file = archive / f"list{kind}"
    lines = [",".join(row) for row in zip(PATHS, SITES, strict=True)]
    if kind in (".parquet", ".pq"):
        pq.write_table(columns, file)
    elif kind == ".csv":
        file.write_text("\n".join(["path,site", *lines]) + "\n")
    elif kind == ".tsv":
        file.write_text("\n".join(["path,site", *lines]).replace(",", "\t"))
    else:
        file.write_text("\n".join(PATHS))
    return file


@pytest.mark.parametrize("kind", [".parquet", ".pq", ".csv", ".tsv"])
def test_tables_of_every_kind_name_the_same(kind, archive, options, expected):
    plan = make_plan(options(archive=(str(write(kind, archive)),)))
    assert named(plan) == expected
    assert plan.table["site"].to_pylist() == SITES


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a spreadsheet's mark and line ends", "\ufeffPath,site\r\nright/eye.jpg,x\r\n"),
        ("semicolons", "path;site\nright/eye.jpg;x\n"),
        ("quotes and a comma", 'path,site\n"right/eye.jpg",x\n'),
        ("an empty last line", "path,site\nright/eye.jpg,x\n\n"),
    ],
)
def test_csv_as_programs_write_it(what, text, archive, options):
    (archive / "m.csv").write_text(text, newline="")
    plan = make_plan(options(archive=(str(archive / "m.csv"),)))
    assert plan.table["image_id"].to_pylist() == ["right/eye.jpg"], what
    assert plan.table["site"].to_pylist() == ["x"]


def test_csv_in_utf_16_and_values_stay_text(archive, options):
    (archive / "m.csv").write_bytes("path,patient\na.png,007\n".encode("utf-16"))
    plan = make_plan(options(archive=(str(archive / "m.csv"),)))
    assert plan.table["patient"].to_pylist() == ["007"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,site\na.png\n", "row 1: 1 values, but the header has 2"),
        (b"path\n\xff\xfea.png\n", "not UTF-8"),
        (b'path\n"a.png\n', "not a readable CSV"),
        (b"", "not a readable CSV"),
        (b"path,path\na.png,b.png\n", "several columns are called 'path'"),
        (b"camera\nx\n", "no column seems to hold image paths"),
        (b"path\na.png\na.png\n", "already in row 1"),
        (b"path\nhttp://host/a.png\n", "not a supported location"),
        (b"path\nfile://host/a.png\n", "another machine"),
        (b"path\ns3://bucket/../a.png\n", "as a component"),
    ],
)
def test_csv_that_cannot_be_used_is_refused(content, message, archive, options):
    (archive / "m.csv").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        make_plan(options(archive=(str(archive / "m.csv"),)))


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".parquet"])
def test_a_huge_file_of_nothing_is_refused_before_it_is_loaded(suffix, archive, options):
    with (archive / f"m{suffix}").open("wb") as file:
        file.truncate(1 << 32)  # sparse
    with pytest.raises(UsageError, match=r"null bytes|not a readable Parquet file"):
        make_plan(options(archive=(str(archive / f"m{suffix}"),)))


def test_a_list_larger_than_memory_is_refused_in_words(archive, options, monkeypatch):
    def read(path):
        raise MemoryError

    monkeypatch.setattr(tables, "_text_of", read)
    with pytest.raises(UsageError, match="not enough memory"):
        make_plan(options(archive=(str(write(".csv", archive)),)))


def test_a_partitioned_folder_is_one_manifest(archive, options, expected, tmp_path):
    whole = pa.table({"path": PATHS, "site": SITES})
    pq.write_to_dataset(whole, tmp_path / "set", partition_cols=["site"])
    plan = make_plan(options(archive=(str(tmp_path / "set"),), root=str(archive)))
    assert sorted(named(plan)) == sorted(expected)
    assert dict(zip(plan.table["image_id"].to_pylist(), plan.table["site"].to_pylist(),
                    strict=True)) == dict(zip(PATHS, SITES, strict=True))  # fmt: skip


def test_a_folder_of_images_named_like_a_partition_is_a_folder(archive, options):
    archive.joinpath("left").rename(archive / "eye=left")
    for other in list(archive.iterdir()):
        if other.name != "eye=left":
            other.rename(archive.parent / other.name)
    assert make_plan(options()).table["image_id"].to_pylist() == ["eye=left/eye.jpg"]


@pytest.mark.parametrize("between", [b"\n", b"\r\n", b"\0"])
@pytest.mark.parametrize("absolute", [True, False])
def test_a_list_on_standard_input(between, absolute, archive, options, expected, monkeypatch):
    monkeypatch.chdir(archive)
    paths = [str(archive / p) if absolute else p for p in PATHS]
    standard_input(monkeypatch, between.join(p.encode() for p in paths) + between)
    plan = make_plan(options(archive=("-",)))
    assert named(plan) == expected
    assert len(make_plan(options(archive=("-",)))) == 3  # read once, listed twice


@pytest.mark.parametrize("folder", [".", "..", "/"])
def test_relative_paths_of_a_list_start_at_the_working_directory(
    folder, archive, options, expected, monkeypatch
):
    here = (archive / folder).resolve()
    monkeypatch.chdir(here)
    paths = [os.path.relpath(archive / p, here) for p in PATHS]
    standard_input(monkeypatch, "\0".join(paths).encode())
    assert named(make_plan(options(archive=("-",)))) == expected


@pytest.mark.parametrize("suffix", [".txt", ".list"])
def test_relative_paths_of_a_list_in_a_file_start_at_its_folder(
    suffix, archive, options, expected, monkeypatch
):
    monkeypatch.chdir("/")
    given = options(archive=(str(write(suffix, archive)),))
    assert named(make_plan(given)) == expected


def test_a_list_with_a_root_is_relative_to_it(archive, options, expected, monkeypatch):
    monkeypatch.chdir("/")
    standard_input(monkeypatch, "\n".join(PATHS).encode())
    assert named(make_plan(options(archive=("-",), root=str(archive)))) == expected


def test_a_list_may_be_utf_16_as_powershell_writes_it(archive, options, expected, monkeypatch):
    (archive / "m.txt").write_bytes("\r\n".join(PATHS).encode("utf-16"))
    assert named(make_plan(options(archive=(str(archive / "m.txt"),)))) == expected
    standard_input(monkeypatch, "a.png".encode("utf-16") + b"\0")
    with pytest.raises(UsageError, match="standard input: damaged UTF-16"):
        make_plan(options(archive=("-",)))


def test_a_list_in_a_file_with_a_name_that_is_no_text(archive, options, monkeypatch):
    odd = os.fsdecode(b"odd\xff.png")
    (archive / "a.png").rename(archive / odd)
    (archive / "m.txt").write_bytes(os.fsencode(str(archive / odd)))
    plan = make_plan(options(archive=(str(archive / "m.txt"),)))
    assert plan.table["raw"].to_pylist() == [os.fsencode(str(archive.resolve() / odd))]


def test_a_list_from_a_deleted_folder_is_refused_in_words(archive, options, monkeypatch, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    standard_input(monkeypatch, b"a.png\n")
    given = options(archive=("-",))
    with pytest.raises(UsageError, match="working directory no longer exists"):
        make_plan(given)


@pytest.mark.parametrize("uri", ["file://{}", "file://localhost{}", "file:{}", "FILE://{}"])
def test_file_uris_are_paths(uri, archive, options):
    (archive / "a b%.png").write_bytes((archive / "a.png").read_bytes())
    text = uri.format(str(archive / "a b%.png").replace("%", "%25").replace(" ", "%20"))
    pq.write_table(pa.table({"uri": [text]}), archive / "m.parquet")
    plan = make_plan(options(archive=(str(archive / "m.parquet"),)))
    assert named(plan) == [("a b%.png", str(archive.resolve() / "a b%.png"))]


@pytest.mark.parametrize("root", ["link", "real"])
@pytest.mark.parametrize("path", ["link", "real"])
def test_links_above_the_root_do_not_matter(root, path, archive, options, tmp_path):
    (tmp_path / "link").symlink_to(archive)
    folders = {"link": tmp_path / "link", "real": archive}
    pq.write_table(pa.table({"path": [str(folders[path] / "a.png")]}), tmp_path / "m.parquet")
    given = options(archive=(str(tmp_path / "m.parquet"),), root=str(folders[root]))
    assert named(make_plan(given)) == [("a.png", str(archive.resolve() / "a.png"))]


def test_objects_and_files_in_one_manifest(archive, options):
    pq.write_table(pa.table({"path": ["a.png", "s3://bucket/eyes/b.png"]}), archive / "m.parquet")
    assert named(make_plan(options(archive=(str(archive / "m.parquet"),)))) == [
        ("a.png", str(archive.resolve() / "a.png")),
        ("bucket/eyes/b.png", "s3://bucket/eyes/b.png"),
    ]


VIEWS = {
    "text": pa.array(["x", None], pa.string_view()),
    "bytes": pa.array([b"\xff", None], pa.binary_view()),
    "list": pa.array([[1], None], pa.list_view(pa.int8())),
    "large list": pa.array([[1], None], pa.large_list_view(pa.int8())),
    "in a list": pa.array([["x", None], None], pa.list_(pa.string_view())),
    "in a large list": pa.array([["x"], None], pa.large_list(pa.string_view())),
    "in a list of one": pa.array([["x"], None], pa.list_(pa.string_view(), 1)),
    "in a list view": pa.array([["x"], None], pa.list_view(pa.string_view())),
    "in a struct": pa.array([{"a": ["x"]}, None],
                            pa.struct([("a", pa.list_view(pa.string_view()))])),
    "in a map": pa.array([[("k", "v")], None], pa.map_(pa.string_view(), pa.string_view())),
    "in an extension": pa.ExtensionArray.from_storage(
        pa.opaque(pa.string_view(), "kind", "maker"), pa.array(["x", None], pa.string_view())),
}  # fmt: skip


@pytest.mark.parametrize("kind", VIEWS)
def test_views_become_what_they_show(kind, archive, options):
    column = VIEWS[kind]
    paths = pa.array(["b.png", "a.png"], pa.string_view())
    pq.write_table(pa.table({"path": paths, "extra": column}), archive / "m.parquet")
    plan = make_plan(options(archive=(str(archive / "m.parquet"),)))
    assert plan.table["image_id"].to_pylist() == ["b.png", "a.png"]
    assert "view" not in str(plan.table.schema.field("extra").type)
    assert plan.table["extra"].to_pylist() == column.to_pylist()


def test_every_type_travels_and_every_report_shows_it(archive, options, tmp_path):
    """NaN must not look like a change, and no time may be too exact or too far for a report."""
    columns = {
        "nan": pa.array([float("nan"), None, 1.0]),
        "exact": pa.array([1, None, 2], pa.timestamp("ns")),
        "far": pa.array([300_000_000_000_000, None, 1], pa.timestamp("ms")),
        "odd_zone": pa.array([1, None, 2], pa.timestamp("us", "Mars/Olympus")),
        "far_date": pa.array([10_000_000, None, 1 << 30], pa.date32()),
        "long": pa.array([1, None, 2], pa.duration("ns")),
        "nested": pa.array([{"when": [1]}, None, {"when": []}],
                           pa.struct([("when", pa.list_(pa.timestamp("ns")))])),
        "pairs": pa.array([[("k", float("nan"))], None, []], pa.map_(pa.string(), pa.float64())),
        "kind": pa.array(["x", None, "x"]).dictionary_encode(),
        "nothing": pa.nulls(3),
        "raw": pa.array([b"\xff", None, b""]),
    }  # fmt: skip
    pq.write_table(pa.table({"path": PATHS, **columns}), archive / "m.parquet")
    given = options(archive=(str(archive / "m.parquet"),), evidence=False)
    for _ in range(2):  # the second finds nothing to do, and nothing changed
        assert run_job(given, enhancer_factory=fake_factory).exit_code == 0
    out = tmp_path / "out"
    rows = pa.concat_tables([pq.read_table(f) for f in sorted((out / "rows").glob("*.parquet"))])
    for name, column in columns.items():
        kept = rows["manifest_raw" if name == "raw" else name]
        assert same_values(kept.cast(column.type), pa.chunked_array([column])).all()
    for format in FORMATS:
        assert build_report(out, format=format)
    told = build_report(out, format="csv")
    assert "1970-01-01 00:00:00.000000001" in told
    assert "29349-01-26" in told and "1073741824 D" in told
    shutil.rmtree(out / "images")
    again = given.model_copy(update={"retry_failed": True})
    assert run_job(again, enhancer_factory=fake_factory).exit_code == 0
