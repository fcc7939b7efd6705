"""Whatever a manifest or an option says, the answer is a plan or a sentence, and no path leaves."""

import json
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from magenet_batch.errors import UsageError
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.outputs import output_name
from magenet_batch.jobs.plan.plan import make_plan

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
nasty = st.sampled_from(
    ["../x.jpg", "a/../../x.jpg", "/etc/passwd", "..\\..\\x.jpg", "a//b.jpg", "./a.jpg", "~/a.jpg",
     "a\x1b[2J.jpg", "a\u202egnp.jpg", "a\nb.jpg", "C:\\x.jpg", "s3://bucket/x.jpg", "", "\0", "."]
)  # fmt: skip
QUIET = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def plan_of(folder: Path, **options):
    """The plan of a manifest, or None when it was refused in a sentence."""
    try:
        plan = make_plan(
            JobOptions(
                archive=(str(folder / "m.parquet"),),
                out=str(folder / "out"),
                policy="all",
                **options,
            )
        )
    except UsageError as error:
        assert str(error).strip()
        return None
    return plan


def inside(plan, folder: Path) -> None:
    """Sources are below the manifest's folder or in a store, outputs below `images/`."""
    for source, output in zip(
        plan.table["source"].to_pylist(), plan.table["output"].to_pylist(), strict=True
    ):
        assert source.startswith("s3://") or Path(source).is_relative_to(folder.resolve())
        assert ".." not in PurePosixPath(output).parts and ".." not in Path(source).parts
        assert output.startswith("images/") and not PurePosixPath(output).is_absolute()
        assert (folder / "out" / output).resolve().is_relative_to(folder.resolve() / "out")


@QUIET
@given(st.lists(st.one_of(nasty, texts, st.none()), max_size=5), st.sampled_from(["png", "source"]))
def test_any_paths(tmp_path, paths, wanted):
    pq.write_table(pa.table({"path": pa.array(paths, pa.string())}), tmp_path / "m.parquet")
    plan = plan_of(tmp_path, output_format=wanted)
    if plan is not None:
        assert len(plan) == len(paths)
        inside(plan, tmp_path)


@QUIET
@given(st.data())
def test_damaged_manifests(tmp_path, data):
    table = pa.table({"path": ["a.jpg", "b.jpg"], "eye": ["L", "R"], "age": [50, None]})
    pq.write_table(table, tmp_path / "m.parquet")
    content = bytearray((tmp_path / "m.parquet").read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "m.parquet").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    plan = plan_of(tmp_path)
    if plan is not None:
        inside(plan, tmp_path)


@QUIET
@given(
    st.dictionaries(texts, st.lists(st.one_of(texts, st.integers(0, 9)), min_size=2, max_size=2)),
    texts,
)
def test_any_columns(tmp_path, columns, wanted):
    try:
        table = pa.table({k: pa.array(v) for k, v in columns.items()})
        pq.write_table(table, tmp_path / "m.parquet")
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError):
        return
    plan_of(tmp_path, path_column=wanted)
    plan_of(tmp_path)


@QUIET
@given(texts)
def test_any_name_has_an_output_of_its_own(key):
    for wanted in ("source", "jpeg", "png", "tiff"):
        assert output_name(key, wanted=wanted).startswith(f"images/{key}")


_KNOWN = st.sampled_from(sorted(JobOptions.model_fields))
_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**12), st.floats(), texts, st.lists(texts)
)


@QUIET
@given(st.dictionaries(st.one_of(_KNOWN, texts), _VALUES, max_size=6))
def test_any_options(values):
    try:
        options = JobOptions.model_validate_json(json.dumps({"archive": ["x"], **values}))
    except (ValidationError, ValueError, UsageError):
        return
    identity = options.identity("0" * 16)
    assert json.loads(json.dumps(identity)) == identity


@pytest.mark.parametrize(
    "wrong",
    [
        {"policy": ""},
        {"policy_set": ("good=2",)},
        {"part": "3/2"},
        {"part": "x"},
        {"archive": ("x", "a\0b")},
        {"out": "a\0b"},
        {"root": "\0"},
        {"weights": "\0"},
    ],
)
def test_what_cannot_be_read_is_refused_before_any_work(wrong):
    with pytest.raises(UsageError):
        JobOptions(**{"archive": ("x",), **wrong})


@pytest.mark.parametrize(
    ("option", "value"),
    [("output_format", "gif"), ("metadata", "all"), ("page", 0), ("quality", 101), ("pages", 1)],
)
def test_wrong_options_are_refused(option, value):
    with pytest.raises(ValidationError, match=option):
        JobOptions.model_validate({"archive": ("x",), option: value})
