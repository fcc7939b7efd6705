"""A whole evaluation, from folders to files."""

from __future__ import annotations

import json
import platform
import resource
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from magenet_batch import __version__
from magenet_batch.errors import UsageError
from magenet_batch.evaluation.cases import pick_cases, pick_real_cases, some_cases
from magenet_batch.evaluation.methods import build_methods
from magenet_batch.evaluation.page import Case, write_page
from magenet_batch.evaluation.run import Evaluation
from magenet_batch.evaluation.summary import markdown, numbers, sheets
from magenet_batch.evaluation.verdict import verdict
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.storage import write_atomic


@dataclass(frozen=True)
class EvaluateOptions:
    """What to evaluate.

    Attributes:
        weights: a shipped name or a file.
        output: folder for the results.
        clean: folder of sharp images for synthetic pairs.
        vessels: folder with `images` and `masks` of vessels.
        lesions: folder with `images` and `masks` named IMAGE_KIND.png.
        real: folders of real images.
        against: methods to compare with.
        presets: degradations of clean images; `kinds` is each kind alone.
        images: maximum per folder; 0 for all.
        size: longest side of synthetic pairs, pixels.
        seed: of the degradations.
        device: of the networks.
    """

    weights: str
    output: Path
    clean: Path | None = None
    vessels: Path | None = None
    lesions: Path | None = None
    real: tuple[Path, ...] = ()
    against: tuple[str, ...] = ("clahe", "luminosity", "dcp", "graham")
    presets: tuple[str, ...] = ("evaluation", "mild", "kinds", "clean")
    images: int = 0
    size: int = 512
    seed: int = 1
    device: str = "auto"


def evaluate(options: EvaluateOptions, *, say: Callable[[str], None]) -> str:
    """Measure, and write tables, pictures and every single number.

    Args:
        options: what to evaluate.
        say: is told what is being done.

    Returns:
        The tables in Markdown, as written to `summary.md`.

    Raises:
        UsageError: if no folder is given, or one holds no image.
        WeightsError: if weights cannot be loaded.
    """
    if not (options.clean or options.vessels or options.lesions or options.real):
        raise UsageError("Nothing to evaluate. Give --clean, --vessels, --lesions or --real.")
    methods, hashes = build_methods(options.weights, against=options.against, device=options.device)
    evaluation = Evaluation(
        methods, seed=options.seed, images=options.images, size=options.size, say=say
    )
    combined = [name for name in options.presets if name in ("evaluation", "mild", "clean")]
    cases: list[Case] = []
    if options.clean:
        evaluation.synthetic(options.clean, options.presets)
    if options.vessels:
        evaluation.vessels(options.vessels, combined)
    if options.lesions:
        evaluation.lesions(options.lesions, combined)
    for folder in options.real:
        evaluation.real(folder, Enhancer.load(options.weights, device=options.device))
    recorded = list(evaluation.recorded)
    if options.clean:
        for name in combined:
            if name != "clean":
                cases += pick_cases(evaluation, options.clean, preset=name)
    for folder in options.real:
        cases += pick_real_cases(evaluation, folder)
    for part, place in (("vessels", options.vessels), ("lesions", options.lesions)):
        if not cases and place and combined:
            cases += some_cases(evaluation, place, preset=combined[0], part=part)
    facts = _facts(options, hashes)
    said = verdict(evaluation.table)
    found = sheets(evaluation.table)
    options.output.mkdir(parents=True, exist_ok=True)
    evaluation.table.write(options.output / "measures.parquet")
    records = pa.Table.from_pylist([asdict(entry) for entry in recorded])
    pq.write_table(records, options.output / "degradations.parquet")
    head = "\n".join(f"- {label}: {text}" for label, text in facts)
    text = f"# Evaluation\n\n{said.markdown()}\n{head}\n\n{markdown(found)}"
    write_atomic(options.output / "summary.md", text.encode())
    described = {
        "verdict": asdict(said),
        "facts": dict(facts),
        "numbers": numbers(evaluation.table),
    }
    write_atomic(options.output / "summary.json", (json.dumps(described, indent=1) + "\n").encode())
    speed = {name: float(np.median(times)) for name, times in evaluation.seconds.items() if times}
    cost = {
        "seconds_per_megapixel": speed,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    write_atomic(options.output / "speed.json", (json.dumps(cost, indent=1) + "\n").encode())
    page = write_page(found, cases, facts=facts, said=said)
    write_atomic(options.output / "index.html", page.encode())
    return text


def _facts(options: EvaluateOptions, hashes: dict[str, str]) -> list[tuple[str, str]]:
    """What was run; nothing that differs between two runs of the same command."""
    folders = {
        "clean": options.clean, "vessels": options.vessels, "lesions": options.lesions,
    }  # fmt: skip
    named = [f"{key} {path.name}" for key, path in folders.items() if path]
    named += [f"real {path.name}" for path in options.real]
    return [
        ("software", f"magenet {__version__}, torch {torch.__version__}, {platform.machine()}"),
        ("weights", ", ".join(f"{name} {digest}" for name, digest in hashes.items())),
        ("images", "; ".join(named) + (f"; {options.images} of each" if options.images else "")),
        ("size", f"{options.size} px, lesions and real images {2 * options.size} px"),
        ("seed", str(options.seed)),
    ]
