"""A finished job with an image of every outcome, and a network that can be watched."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from jobs_fakes import FakeEnhancer, write_image

from magenet_batch.jobs import run
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.policy import Policy
from magenet_batch.jobs.review.apply import Review
from magenet_batch.jobs.work import deciding, measuring, process
from magenet_batch.storage import location_of

NAMES = ["kept.png", "good.png", "flagged.jpg", "worse.png", "worse.tif", "hopeless.png"]
MEASURES = {"sharpness": 0.3, "contrast": 0.1}


class OneJob:
    """A job of seven images, finished: `rows`, `files`, `review` look at it and change it."""

    def __init__(self, home: Path) -> None:
        self.home, self.out = home, home / "out"
        self.loaded: list[str] = []

    def rows(self) -> dict[str, dict]:
        files = sorted((self.out / "rows").iterdir())
        return {r["image_id"]: r for f in files for r in pq.read_table(f).to_pylist()}

    def files(self) -> dict[str, bytes]:
        """Everything that is delivered."""
        root = self.out / "images"
        found = (p for p in root.rglob("*") if p.is_file())
        return {p.relative_to(self.out).as_posix(): p.read_bytes() for p in found}

    def review(self) -> Review:
        return Review(location_of(str(self.out)))

    def decide(self, **decisions: str):
        text = "image_id,decision\n" + "".join(
            f"{name.replace('__', '.')},{what}\n" for name, what in decisions.items()
        )
        review = self.review()
        found = review.read(text.encode(), "x.csv", reviewer="R", when="2026-01-01T00:00:00+00:00")
        return review.apply(found)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OneJob:
    """The policy is told by the names of the images, since fakes have no faults."""
    made = OneJob(tmp_path)
    for seed, name in enumerate(NAMES):
        write_image(tmp_path / "archive" / name, seed=seed)
    (tmp_path / "archive" / "torn.jpg").write_bytes(b"no image")
    names = {(tmp_path / "archive" / n).stat().st_size: n for n in NAMES}

    def graded(copy):
        return {"grade": "usable", "good": 0.4, "usable": 0.5, "reject": 0.1} | MEASURES

    def change(pixels, enhanced, fov, *, before, detector):
        worse = names[before["bytes"]].startswith("worse")
        found = {f"{k}_after": v for k, v in graded(None).items()}
        found |= {"fidelity": 0.9, "vessel_contrast": 0.9 if worse else 1.1}
        found["grade_after"] = "usable" if worse else "good"
        flagged = names[before["bytes"]].startswith("flagged")
        return found | {"flags": ["new_vessels"] if flagged else []}

    def before(self, row):
        name = names[row["bytes"]]
        return {"kept": "good", "hopeless": "hopeless"}.get(name.split(".")[0])

    def after(self, row):
        known = self.name != "review" and names[row["bytes"]].startswith("worse")
        return "contrast_fell" if known else None

    monkeypatch.setattr(measuring, "assess_copy", graded)
    monkeypatch.setattr(measuring, "vessels_seen_on", lambda copy: 0.9)
    monkeypatch.setattr(process, "recognise", lambda pixels, fov: None)
    monkeypatch.setattr(deciding, "measure_change", change)
    monkeypatch.setattr(
        Policy, "before", lambda self, row: None if self.name == "review" else before(self, row)
    )
    monkeypatch.setattr(Policy, "after", after)
    options = JobOptions(
        archive=(str(tmp_path / "archive"),), out=str(made.out), workers=0, gpus=0, shard_size=3
    )

    def load(device, threads, *, weights, **how):
        made.loaded.append(weights)
        return FakeEnhancer()

    monkeypatch.setattr(run, "load_enhancer", load)
    run.run_job(options, enhancer_factory=lambda device, threads: FakeEnhancer())
    return made
