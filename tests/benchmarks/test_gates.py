"""The gates: doing nothing gives known answers, and limits are held as they are printed."""

import importlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from magenet_batch.phantom import make_phantom

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PLAIN = ("idrid/val_clean", "cataract", "hygd/degraded", "idrid/real_degraded", "archive", "drimdb")
DRAWN = ("lesav", "stare", "hrf/test-vessels")
MODULES = ("gates", "gate_registry", "gate_list", "gate_bench", "gate_cost", "contact_sheet")


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in MODULES:
        importlib.import_module(name)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms in the folders of the photographs, two of each."""
    root = tmp_path_factory.mktemp("data")
    seed = 0
    for folder in (*PLAIN, *DRAWN, "idrid/lesions_test"):
        bare = folder in PLAIN
        images, masks = (root / folder / part for part in ("images", "masks"))
        images, masks = (root / folder if bare else images), (None if bare else masks)
        images.mkdir(parents=True)
        for number in range(2):
            while not any(m.any() for m in make_phantom(seed, size=256).lesions.values()):
                seed += 1
            phantom = make_phantom(seed, size=256)
            seed += 1
            cv2.imwrite(str(images / f"{number}.png"), phantom.pixels[..., ::-1])
            if masks is not None:
                masks.mkdir(exist_ok=True)
                if folder in DRAWN:
                    drawn = {"": phantom.vessels > 0.4}
                else:
                    drawn = {"_HE": np.any(list(phantom.lesions.values()), axis=0)}
                for suffix, mask in drawn.items():
                    cv2.imwrite(str(masks / f"{number}{suffix}.png"), mask.astype(np.uint8) * 255)
    return root


@pytest.fixture(scope="module")
def nothing(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The result of measuring doing nothing."""
    sys.path.insert(0, str(BENCHMARKS))
    out = tmp_path_factory.mktemp("out") / "nothing.json"
    gates = importlib.import_module("gates")
    words = ["--data", str(data), "--weights", "identity", "--against", "identity"]
    gates.main([*words, "-o", str(out), "--markdown", str(out.with_suffix(".md"))])
    sys.path.remove(str(BENCHMARKS))
    found = json.loads(out.read_text())
    found["text"] = out.with_suffix(".md").read_text()
    return found


def values(nothing: dict, gate: str, *, limits: bool = True) -> list[float]:
    parts = nothing["gates"][gate]["parts"].values()
    return [p["value"] for p in parts if p["must"] is not None or not limits]


@pytest.mark.parametrize(
    "gate",
    ["blur_noise", "ssim_gap", "psnr_known", "psnr_aligned", "psnr_unseen", "vessel_iou",
     "vessel_auc", "real_auc", "colour"],
)  # fmt: skip
def test_doing_nothing_gains_nothing(nothing: dict, gate: str):
    found = [value for value in values(nothing, gate) if value is not None]
    assert set(found) <= {0.0}
    assert found or gate == "vessel_auc"  # degraded phantoms lose too little for a share of it


@pytest.mark.parametrize("gate", ["real_contrast", "real_noise", "macula"])
def test_doing_nothing_keeps_everything(nothing: dict, gate: str):
    found = [value for value in values(nothing, gate, limits=False) if value is not None]
    assert found and set(found) == {1.0}


def test_doing_nothing_is_clean_and_fails_where_something_must_be_done(nothing: dict):
    assert values(nothing, "clean_known") == [60.0, 1.0]
    assert values(nothing, "clean_unseen") == [60.0, 60.0]
    parts = nothing["gates"]["lesions"]["parts"]
    assert parts["clean"]["value"] == 1.0
    assert parts["mild"]["value"] == parts["mild, nothing done"]["value"]
    verdicts = {name: gate["holds"] for name, gate in nothing["gates"].items()}
    assert verdicts["kinds"] and verdicts["clean_known"] and verdicts["colour"]
    assert verdicts["psnr_known"] is False and verdicts["blur_noise"] is False


def test_every_image_is_in_the_result_and_the_table(nothing: dict):
    rows = nothing["images"]["pairs idrid/val_clean evaluation:blur"]
    assert (
        set(rows) == {"0.png", "1.png"} and rows["0.png"]["psnr"] == rows["0.png"]["nothing_psnr"]
    )
    assert {"lines", "band", "grade_before", "darkened", "kept"} <= set(
        nothing["images"]["bad cataract"]["0.png"]
    )
    assert "| blur | 0.00 | >= 1.5 | >= 3 | FAIL | 2 |" in nothing["text"]


def test_only_measures_what_is_asked_for(data: Path, capsys: pytest.CaptureFixture):
    gates = importlib.import_module("gates")
    gates.main(["--data", str(data), "--weights", "clahe", "--only", "macula, colour"])
    told = capsys.readouterr()
    assert "**macula**" in told.out and "**colour**" in told.out and "**kinds**" not in told.out
    assert "evaluation" not in told.err


def test_wrong_names_and_folders_are_said_clearly(data: Path, tmp_path: Path):
    gates = importlib.import_module("gates")
    with pytest.raises(SystemExit, match=r"no gate is called so.*macula"):
        gates.main(["--data", str(data), "--weights", "identity", "--only", "makula"])
    with pytest.raises(SystemExit, match="say where with --data"):
        gates.main(["--data", str(tmp_path / "x"), "--weights", "identity"])
    with pytest.raises(SystemExit, match=r"no weights 'smal'.*small"):
        gates.main(["--data", str(data), "--weights", "smal"])


def test_limits_are_held_as_they_are_printed():
    registry = importlib.import_module("gate_registry")
    least, most, near = registry.least(1, 2), registry.most(3, 1), registry.near(0.01, 0.002)
    assert least.holds(0.996, 1) and not least.holds(0.994, 1)
    assert most.holds(3.004, 3) and not most.holds(3.006, 3)
    assert near.holds(1.0104, 0.01) and not near.holds(0.989, 0.01)
    assert least.holds(None, 1) is None and registry.told().holds(5.0, None) is None
    assert [x.text(x.must) for x in (least, most, near)] == [">= 1", "<= 3", "1 +- 0.01"]


def test_the_gap_is_that_of_the_means():
    registry = importlib.import_module("gate_registry")
    ours, nothing, clean = {"a": 0.6, "b": 0.8}, {"a": 0.4, "b": 0.6}, {"a": 0.9, "b": 0.9}
    assert registry.gap_closed(ours, nothing, clean).value == pytest.approx(0.5)
    assert registry.gap_closed(ours, nothing, None).value == pytest.approx(0.4)
    assert registry.gap_closed(clean, clean, clean).value is None
    assert registry.gap_closed({}, {}, None).value is None


def test_an_undecided_gate_does_not_hold():
    registry = importlib.import_module("gate_registry")
    one = registry.Gate(
        "g", "t", "", {"a": registry.least(1, 2), "b": registry.told()},
        lambda bench: {"a": registry.Found(None), "b": registry.Found(3.0)},
    )  # fmt: skip
    assert registry.measured(one, None)["holds"] is None
