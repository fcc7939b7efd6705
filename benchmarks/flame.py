"""Flame graphs of one 12-megapixel image and of the start, for docs/benchmarks.md.

    python benchmarks/flame.py [--times 4] [-o docs/images]

The image is the one of `image.py` on which every stage works, from JPEG to JPEG on one thread. A
thread looks every two milliseconds where the work is; a box is as wide as the share of looks that
found it there, and stands below the box that called it. The start is what a worker imports, by
`python -X importtime`, packages below those that import them. The SVG files show numbers when the
pointer rests on a box.
"""

from __future__ import annotations

import argparse
import html
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
from image import photograph

EVERY_S = 0.002
WIDTH, ROW, LETTER = 1000, 18, 6.2  # pixels
LEAST = 0.004  # share of the width below which a box is left out
DEEPEST = 9
OURS = "magenet_batch"
PLUMBING = ("_guarded", "<genexpr>", "<listcomp>", "<lambda>", "process")
"""Functions that only call others."""
COLOURS = ("#f3c98b", "#f0b98d", "#eda88f", "#e6b3a3", "#f0d39b")


@dataclass
class Box:
    """A function or package, what it took itself, and what it called.

    Attributes:
        own: looks or milliseconds of its own.
        below: what it called, by name.
    """

    own: float = 0.0
    below: dict[str, Box] = field(default_factory=dict)

    @property
    def whole(self) -> float:
        """Its own, and all below."""
        return self.own + sum(box.whole for box in self.below.values())

    def add(self, names: Sequence[str], amount: float) -> None:
        """Add an amount to the box at a path of names."""
        box = self
        for name in names:
            box = box.below.setdefault(name, Box())
        box.own += amount


def looked(ident: int) -> list[str]:
    """The functions of the package that a thread is in, outermost first."""
    names = []
    frame = sys._current_frames().get(ident)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith(OURS) and frame.f_code.co_name not in PLUMBING:
            names.append(f"{module.rpartition('.')[2]}.{frame.f_code.co_name.lstrip('_')}")
        frame = frame.f_back
    return names[::-1]


def image(times: int) -> Box:
    """Where the time of one image goes, in milliseconds."""
    from magenet_batch.jobs.options import JobOptions
    from magenet_batch.jobs.plan.plan import Task
    from magenet_batch.jobs.run import load_enhancer
    from magenet_batch.jobs.work.process import ImageProcessor

    cv2.setNumThreads(1)
    root, done, main = Box(), threading.Event(), threading.get_ident()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.jpg"
        path.write_bytes(photograph("faulty"))
        options = JobOptions(archive=("none",), policy="all").image_options
        processor = ImageProcessor(
            load_enhancer("cpu", 1, weights="small"), out=Path(folder), image_options=options
        )
        task = Task("image.jpg", str(path), "images/image.jpg")
        processor.process(task)  # warms up

        def look() -> None:
            last = time.process_time()
            while not done.wait(EVERY_S):
                now = time.process_time()
                if names := looked(main):
                    root.add(names, 1000 * (now - last) / times)
                last = now

        watcher = threading.Thread(target=look)
        watcher.start()
        for _ in range(times):
            processor.process(task)
        done.set()
        watcher.join()
    return root


def start() -> Box:
    """What a worker imports, in milliseconds."""
    code = f"import {OURS}.jobs.work.worker, {OURS}.inference.enhancer"
    command = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True)
    root = Box()
    path: list[str] = []
    for line in reversed(done.stderr.splitlines()[1:]):  # a module comes after what it imports
        own, _, name = line.removeprefix("import time:").split("|")
        depth = (len(name) - len(name.lstrip()) - 1) // 2
        path[depth:] = [name.strip()]
        root.add(_packages(path), int(own) / 1000)
    return root


def _packages(path: Sequence[str]) -> list[str]:
    """A path of modules with those of one package together."""
    names: list[str] = []
    for module in path:
        parts = module.split(".")
        name = ".".join(parts[:2]) if parts[0] == OURS else parts[0]
        if not names or names[-1] != name:
            names.append(name)
    return names


def boxes(root: Box, *, left: float = 0.0, depth: int = 0) -> Iterator[tuple[float, int, str, Box]]:
    """All boxes with their left edge and depth, the widest first."""
    for name, box in sorted(root.below.items(), key=lambda one: -one[1].whole):
        yield left, depth, name, box
        yield from boxes(box, left=left, depth=depth + 1)
        left += box.whole


def drawn(root: Box, title: str) -> str:
    """The boxes as SVG."""
    whole = root.whole
    shown = [
        one for one in boxes(root) if one[3].whole >= LEAST * whole and one[1] < DEEPEST
    ]  # fmt: skip
    height = ROW * (2 + max(depth for _, depth, _, _ in shown))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="4" y="13">{html.escape(title)}: {whole:.0f} ms</text>',
    ]
    for left, depth, name, box in shown:
        x, wide = WIDTH * left / whole, WIDTH * box.whole / whole
        y, label = ROW * (depth + 1), name[: max(0, int((wide - 4) / LETTER))]
        told = html.escape(f"{name}: {box.whole:.0f} ms, {100 * box.whole / whole:.1f} %")
        lines.append(
            f'<g><title>{told}</title><rect x="{x:.1f}" y="{y}" width="{max(wide - 0.5, 0.3):.1f}" '
            f'height="{ROW - 1}" fill="{COLOURS[sum(name.encode()) % len(COLOURS)]}"/>'
            f'<text x="{x + 3:.1f}" y="{y + 12}">{html.escape(label)}</text></g>'
        )
    return "\n".join([*lines, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/images"))
    told = parser.parse_args()
    pictures = {
        "flame_image.svg": (
            image(told.times),
            "One image of 12 megapixels, CPU time on one thread",
        ),
        "flame_start.svg": (start(), "What a worker imports"),
    }
    for name, (root, title) in pictures.items():
        (told.output / name).write_text(drawn(root, title), encoding="utf-8")
        print(told.output / name)


if __name__ == "__main__":
    main()
