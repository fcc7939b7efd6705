"""Contact sheets for blind review: real photographs, restored and by CLAHE, in unknown order.

    python benchmarks/contact_sheet.py [--weights small] [--look clear] [-o eval/sheet]
    python benchmarks/contact_sheet.py --tally answers.json eval/sheet/key.json

Writes pages of five rows, the key, and an empty answer sheet into a folder. In every row the three
images are in random order, labelled A, B and C. A reviewer who has not seen the key writes
preferences into `answers.json`, best first: "B>A=C" for a row in which A and C are equal.
Photographs are drawn with a fixed seed, the same number from each folder; the key records what a
job with the standard policy would deliver. Required: preferred to the original in at least half of
the rows, and worse in no delivered one.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
from gate_bench import LARGE, Restorer, check_data, delivery

from magenet_batch.errors import MagenetError, UsageError
from magenet_batch.evaluation.baselines import clahe
from magenet_batch.evaluation.images import EvaluationImage, list_images, load_image
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.jobs.policy import POLICIES
from magenet_batch.settings import Look
from magenet_batch.storage import write_atomic

FOLDERS = ("cataract", "drimdb", "stare", "hygd/degraded", "idrid/real_degraded")
KINDS = ("original", "ours", "clahe")
LETTERS = "ABC"
TILE, ROWS, HEAD = (
    480,
    5,
    34,
)  # side of a tile in pixels, rows per page, height of a caption in pixels
SEED = 7
RANKED = re.compile(r"[ABC](?:[>=][ABC]){2}")


def drawn(data: Path, *, images: int, rng: np.random.Generator) -> list[EvaluationImage]:
    """The same number of photographs from each folder, in random order."""
    found = []
    for index, folder in enumerate(FOLDERS):
        paths = list_images(data / folder)
        count = images // len(FOLDERS) + (index < images % len(FOLDERS))
        for place in rng.permutation(len(paths)):
            image = load_image(paths[place], size=LARGE) if count else None
            if image is not None:
                name = str(paths[place].relative_to(data))
                found.append(EvaluationImage(name, image.pixels, image.fov, image.mask))
                count -= 1
    return [found[i] for i in rng.permutation(len(found))]


def tile(pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
    """The lit region in a square on black."""
    top, bottom, left, right = fov.box(*pixels.shape[:2])
    cut = pixels[top:bottom, left:right]
    scale = TILE / max(cut.shape[:2])
    size = (max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale)))
    small = cv2.resize(cut, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    square = np.zeros((TILE, TILE, 3), np.uint8)
    y, x = (TILE - size[1]) // 2, (TILE - size[0]) // 2
    square[y : y + size[1], x : x + size[0]] = small
    return square


def row_of(number: int, tiles: list[np.ndarray]) -> np.ndarray:
    """Three tiles below their letters."""
    captions = []
    for letter in LETTERS:
        caption = np.zeros((HEAD, TILE, 3), np.uint8)
        text = f"{number} {letter}"
        cv2.putText(caption, text, (8, 25), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255,) * 3, 2)
        captions.append(caption)
    return np.vstack([np.hstack(captions), np.hstack(tiles)])


def sheet(
    found: list[EvaluationImage], restorer: Restorer, rng: np.random.Generator, *, say
) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Yield rows, and their entries in the key."""
    for number, image in enumerate(found, start=1):
        done, decided = delivery(
            image.pixels, image.fov, restorer=restorer, policy=POLICIES["standard"]
        )
        made = {
            "original": image.pixels,
            "ours": done.pixels,
            "clahe": clahe(image.pixels, image.fov),
        }
        order = [KINDS[i] for i in rng.permutation(len(KINDS))]
        kept = decided["kept"]
        say(f"{number} of {len(found)}")
        entry = {"image": image.name, "kept": kept, **dict(zip(LETTERS, order, strict=True))}
        yield row_of(number, [tile(made[kind], image.fov) for kind in order]), entry


def write_sheet(told: argparse.Namespace, *, say) -> None:
    check_data(told.data)
    restorer = Restorer(told.weights, threads=1, look=told.look)
    rng = np.random.default_rng(SEED)
    rows, entries = [], {}
    for row, entry in sheet(drawn(told.data, images=told.images, rng=rng), restorer, rng, say=say):
        rows.append(row)
        entries[str(len(rows))] = entry
    told.output.mkdir(parents=True, exist_ok=True)
    for page in range(0, len(rows), ROWS):
        picture = np.vstack(rows[page : page + ROWS])[..., ::-1]
        code = cv2.imencode(".png", picture)[1].tobytes()
        write_atomic(told.output / f"page_{page // ROWS + 1}.png", code)
    key = {"weights": restorer.name, "hash": restorer.hash, "seed": SEED, "rows": entries}
    write_atomic(told.output / "key.json", (json.dumps(key, indent=1) + "\n").encode())
    empty = json.dumps(dict.fromkeys(entries, ""), indent=1) + "\n"
    write_atomic(told.output / "answers.json", empty.encode())


def ranks(answer: str) -> dict[str, int]:
    """Parse an answer such as "B>A=C" into ranks by letter, 0 for the best.

    Raises:
        UsageError: the answer has another form.
    """
    text = re.sub(r"\s", "", answer.upper())
    if not RANKED.fullmatch(text) or set(re.sub("[>=]", "", text)) != set(LETTERS):
        raise UsageError(f"'{answer}': rank all three, best first, such as B>A=C")
    found, rank = {}, 0
    for sign, letter in re.findall(r"([>=]?)([ABC])", text):
        rank += sign == ">"
        found[letter] = rank
    return found


def tally(answers: Mapping[str, str], key: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Count how often ours was preferred to, equal to and worse than each of the others.

    Args:
        answers: ranking by row; empty ones are skipped.
        key: the key written with the pages.

    Raises:
        UsageError: an answer cannot be read, or its row does not exist.
    """
    counts = {name: Counter() for rival in ("original", "clahe") for name in
              (f"to the {rival}", f"to the {rival}, of those delivered")}  # fmt: skip
    for number, answer in answers.items():
        if not answer.strip():
            continue
        if number not in key["rows"]:
            raise UsageError(f"there is no row {number} in the key: is it the key of these pages?")
        entry = key["rows"][number]
        rank_of = {entry[letter]: rank for letter, rank in ranks(answer).items()}
        for rival in ("original", "clahe"):
            apart = rank_of["ours"] - rank_of[rival]
            word = "preferred" if apart < 0 else "worse" if apart > 0 else "equal"
            counts[f"to the {rival}"][word] += 1
            if entry["kept"] is None:
                counts[f"to the {rival}, of those delivered"][word] += 1
    words = ("preferred", "equal", "worse")
    return {name: {word: found[word] for word in words} for name, found in counts.items()}


def show_tally(answers: Path, key: Path) -> None:
    try:
        given, meant = (json.loads(p.read_text(encoding="utf-8")) for p in (answers, key))
    except (OSError, ValueError) as error:
        raise UsageError(f"answers or key cannot be read: {error}") from error
    print("| ours | preferred | equal | worse |\n| --- | --- | --- | --- |")
    for name, found in tally(given, meant).items():
        print(f"| {name} | {' | '.join(str(count) for count in found.values())} |")


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", default="small")
    parser.add_argument("--look", choices=get_args(Look), default="natural")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("-o", "--output", type=Path, default=Path("eval/sheet"))
    parser.add_argument("--tally", nargs=2, type=Path, metavar=("ANSWERS", "KEY"))
    told = parser.parse_args(words)
    try:
        if told.tally:
            show_tally(*told.tally)
        else:
            write_sheet(told, say=lambda line: print(line, file=sys.stderr, flush=True))
    except MagenetError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
