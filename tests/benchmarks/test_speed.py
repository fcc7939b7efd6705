"""Scripts about speed: what they draw, count and compare."""

import importlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from magenet_batch.jobs.plan.plan import Task
from magenet_batch.phantom import make_phantom

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
flame, image, roofline, training_step = (
    importlib.import_module(name) for name in ("flame", "image", "roofline", "training_step")
)
sys.path.remove(str(BENCHMARKS))
names = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)


@given(st.lists(st.tuples(names, st.floats(1.0, 1e4)), min_size=1, max_size=12))
def test_boxes_lie_inside_the_box_that_called_them(added):
    root = flame.Box()
    for path, amount in added:
        root.add(path, amount)
    assert root.whole == pytest.approx(sum(amount for _, amount in added))
    edges = {}
    for left, depth, _, box in flame.boxes(root):
        edges[depth] = (left, left + box.whole)
        if depth:
            outer = edges[depth - 1]
            assert outer[0] - 1e-6 <= left and left + box.whole <= outer[1] + 1e-6
    svg = ElementTree.fromstring(flame.drawn(root, "A <title> & more"))
    assert float(svg.attrib["viewBox"].split()[2]) == flame.WIDTH


def test_modules_of_one_package_are_one_box():
    path = ["magenet_batch.jobs.work", "magenet_batch.jobs.plan", "torch", "torch.nn", "numpy"]
    assert flame._packages(path) == ["magenet_batch.jobs", "torch", "numpy"]


def test_the_place_of_work_is_seen():
    seen = []
    here = threading.get_ident()

    def look():
        while not seen:
            if found := flame.looked(here):
                seen.append(found)

    watcher = threading.Thread(target=look)
    watcher.start()
    while not seen:
        make_phantom(0, size=96)
    watcher.join()
    assert seen[0][0] == "phantom.make_phantom"


def test_the_fastest_run_of_each_step_counts_and_the_greatest_memory():
    def run(seconds: float, peak: float) -> dict:
        cost = {"seconds": seconds, "cpu_seconds": seconds / 2}
        return {"steps": dict.fromkeys(image.STEPS, cost), "peak_mib": peak}

    found = image.joined([run(2.0, 800.0), run(1.0, 900.0)])
    assert found["total"] == {"seconds": 3.0, "cpu_seconds": 1.5}
    assert found["peak_mib"] == 900.0


def test_the_photographs_are_what_they_are_called():
    good, faulty = (
        cv2.imdecode(np.frombuffer(image.photograph(kind), np.uint8), cv2.IMREAD_COLOR)
        for kind in ("good", "faulty")
    )
    assert good.shape == faulty.shape == (image.HEIGHT, image.WIDTH, 3)
    grain = [np.std(x[1400:1500, 2100:2200] - cv2.GaussianBlur(x, (0, 0), 2)[1400:1500, 2100:2200])
             for x in (good.astype(np.float32), faulty.astype(np.float32))]  # fmt: skip
    assert grain[1] > 2 * grain[0]


def test_time_is_added_up_by_kind():
    spent = training_step.Spent()
    work = spent.timing("work", lambda x: x + 1)
    assert work(1) == 2 and work(2) == 3
    assert set(spent.seconds) == {"work"} and spent.seconds["work"] > 0


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX512", "AVX2"), reason="no AVX2 here"
)
def test_pytorch_can_be_restricted_to_avx2():
    code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    environment = {**os.environ, **roofline.AVX2}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "AVX2"


def test_clahe_writes_an_image_of_the_same_size_with_more_contrast(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    beside = importlib.import_module("beside")
    path = tmp_path / "eye.png"
    pixels = make_phantom(0, size=128).pixels // 2
    cv2.imwrite(str(path), pixels[..., ::-1])
    beside._clahe(Task("eye.png", str(path), "images/eye.png"), str(tmp_path / "out"))
    result = cv2.imread(str(tmp_path / "out" / "images" / "eye.png"))[..., ::-1]
    assert result.shape == pixels.shape
    assert result.std() > pixels.std()
