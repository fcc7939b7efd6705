"""The names that Python users import: the same results as the command line's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

import magenet_batch
from magenet_batch import Enhancer, assess, enhance, read_image
from magenet_batch.cli.main import main
from magenet_batch.errors import ImageError, InputError, UsageError, WeightsError
from magenet_batch.jobs.engine.machine import cpu_count
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.run import run_job
from magenet_batch.phantom import make_phantom
from magenet_batch.records.schema import ESTIMATES, FIDELITY_MEASURES, QUALITY_MEASURES

SIZE = 256


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return cv2.GaussianBlur(make_phantom(5, size=SIZE).pixels, (0, 0), 1.5)


@pytest.fixture(scope="module")
def path(pixels, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "eye.png"
    cv2.imwrite(str(path), pixels[..., ::-1])
    return path


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    return Enhancer(device="cpu", threads=cpu_count())  # as a job without workers


@pytest.fixture(scope="module")
def result(enhancer, path):
    return enhancer(path)


def row_of(out: Path) -> dict:
    (file,) = (out / "rows").iterdir()
    (row,) = pq.read_table(file).to_pylist()
    return row


def test_python_and_the_command_line_say_the_same(result, path, tmp_path):
    options = JobOptions(
        archive=(str(path),), out=str(tmp_path / "out"), workers=0, gpus=0, policy="all"
    )
    assert run_job(options).exit_code == 0
    row = row_of(tmp_path / "out")
    assert row["status"] == "enhanced", row["message"]
    written = cv2.imread(str(tmp_path / "out" / row["output"]))[..., ::-1]
    np.testing.assert_array_equal(result.image, written)
    assert (row["grade_before"], row["grade_after"]) == (result.grade_before, result.grade_after)
    for when, quality in (("before", result.before), ("after", result.after)):
        for name, value in (quality.measures | quality.probabilities).items():
            assert value == pytest.approx(row[f"{name}_{when}"], abs=1e-6), name
    for name in ESTIMATES:
        assert result.estimates[name.removeprefix("estimated_")] == pytest.approx(
            row[name], abs=1e-6
        )
    for name in FIDELITY_MEASURES:
        assert result.fidelity_measures[name] == pytest.approx(row[name], abs=1e-6)
    assert result.fidelity == pytest.approx(row["fidelity"])
    assert (list(result.flags), result.weights_hash) == (row["flags"], row["weights_hash"])
    assert result.burned_in_text == row["burned_in_text"]


def test_assess_says_what_magenet_assess_says(path, tmp_path):
    assert main(["assess", str(path), "-o", str(tmp_path / "out"), "--workers", "0"]) == 0
    row, found = row_of(tmp_path / "out"), assess(path)
    assert found.grade == row["grade_before"] and set(found.measures) == set(QUALITY_MEASURES)
    for name, value in (found.measures | found.probabilities).items():
        assert value == pytest.approx(row[f"{name}_before"], abs=1e-6), name


def test_text_outside_the_field_of_view_is_said(enhancer, tmp_path):
    """As in the row of a job, in its text, and before as after."""
    picture = make_phantom(3, size=640).pixels
    picture = cv2.copyMakeBorder(picture, 0, 0, 180, 180, cv2.BORDER_CONSTANT)
    plain = assess(picture)
    cv2.putText(picture, "DOE JANE", (12, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255,) * 3)
    named, result = assess(picture), enhancer(picture)
    assert plain.burned_in_text == 0 and "letters" not in repr(plain)
    assert named.burned_in_text >= 4 and f"{named.burned_in_text} marks like letters" in repr(named)
    assert result.burned_in_text == result.after.burned_in_text == named.burned_in_text
    assert f"text outside the field of view: {named.burned_in_text}" in repr(result)
    cv2.imwrite(str(tmp_path / "eye.png"), picture[..., ::-1])
    given = ["assess", str(tmp_path / "eye.png"), "-o", str(tmp_path / "out"), "--workers", "0"]
    assert main(given) == 0
    assert row_of(tmp_path / "out")["burned_in_text"] == named.burned_in_text


def test_every_form_of_an_image_gives_the_same(enhancer, result, pixels, path):
    from PIL import Image

    for image in (str(path), pixels, Image.fromarray(pixels), read_image(path)):
        again = enhancer.enhance(image)
        np.testing.assert_array_equal(again.image, result.image)
        assert again.before == result.before
    assert enhance(pixels, device="cpu").weights_hash == result.weights_hash


def test_types_and_shapes_are_kept(enhancer, result, pixels):
    floats = enhancer(pixels.astype(np.float32) / 255)
    assert floats.image.dtype == np.float32 and 0 <= floats.image.min() <= floats.image.max() <= 1
    np.testing.assert_allclose(floats.image, result.image / 255, atol=2.5 / 255)
    outside = ~floats.before.fov.mask(SIZE, SIZE)
    np.testing.assert_array_equal(floats.image[outside], (pixels.astype(np.float32) / 255)[outside])
    wide = enhancer(pixels.astype(np.uint16) * 257)
    assert wide.image.dtype == np.uint16 and wide.image.shape == pixels.shape
    grey = enhancer(pixels[..., 1])
    assert grey.image.dtype == np.uint8 and grey.image.shape == (SIZE, SIZE)


def test_a_result_shows_itself(result):
    text = repr(result)
    assert f"{SIZE} x {SIZE} uint8" in text and f"-> {result.grade_after}" in text
    assert "blur" in text and "(per mille)" in text and "fidelity: 0." in text
    page = result._repr_html_()
    assert page.count("data:image/jpeg;base64,") == 2 and len(page) < 200_000
    assert "grade" in repr(result.before).lower() or result.before.grade in repr(result.before)
    assert set(result.units) == {"blur", "noise", "compression", "veil", "unevenness", "spots"}
    assert result.faults and "veil" not in result.units["blur"]
    with pytest.raises(TypeError):
        result.estimates["blur"] = 0.0


def test_what_a_job_would_keep_is_said(enhancer):
    flat = make_phantom(2, size=SIZE).pixels
    ruined = cv2.GaussianBlur(flat, (0, 0), 14)
    assert enhancer(ruined).kept in ("hopeless", "reject", "low_fidelity")


def test_a_picture_without_a_field_of_view_is_refused_as_in_a_job(enhancer):
    noise = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    for work in (assess, enhancer):
        with pytest.raises(ImageError, match="no field of view was found") as caught:
            work(noise)
        assert caught.value.reason == "no_fov"


def test_wrong_use_is_a_sentence(pixels):
    with pytest.raises(InputError, match="alpha"):
        assess(np.dstack([pixels, pixels[..., :1]]))
    with pytest.raises(WeightsError, match="no weights 'nosuch'"):
        enhance(pixels, weights="nosuch")
    with pytest.raises(UsageError):
        Enhancer(device="abacus")
    with pytest.raises(AttributeError, match="has no attribute 'enhanse'"):
        magenet_batch.enhanse  # noqa: B018


def test_nothing_heavy_is_loaded_before_it_is_needed(path):
    code = (
        "import sys, magenet_batch\n"
        "assert not {'torch', 'ray', 'numpy'} & set(sys.modules)\n"
        "from magenet_batch import assess, enhance\n"
        f"assess({str(path)!r})\n"
        "assert not {'torch', 'ray'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_are_there_and_typed():
    assert set(magenet_batch.__all__) <= set(dir(magenet_batch))
    assert all(getattr(magenet_batch, name) is not None for name in magenet_batch.__all__)
    assert (Path(magenet_batch.__file__).parent / "py.typed").is_file()


def test_the_page_runs(path, tmp_path, monkeypatch, capsys):
    """Every Python block of docs/python.md, one after another, in one session."""
    page = Path(__file__).parent.parent / "docs" / "python.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in ("eye.png", "photographs/left.png", "photographs/right.png"):
        (tmp_path / name).write_bytes(path.read_bytes())
    (folder / "no_fundus.png").write_bytes(
        cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    )
    names: dict[str, object] = {"__name__": "__main__"}
    assert len(blocks) >= 4
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
    assert "no_fov" in capsys.readouterr().out
    assert (tmp_path / "enhanced.png").is_file()
    assert (tmp_path / "out" / "run.json").is_file()
