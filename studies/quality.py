"""The quality of the shipped weights on photographs that they never saw: docs/benchmarks.md.

    python studies/quality.py [--images 12] [-o eval/quality]
    python studies/quality.py --pairs evaluation,mild,clean --images 62 -o eval/pairs \
        --result studies/results/pairs.json

Runs `magenet evaluate` with a fixed seed on idrid/val_clean, hrf/test-vessels, idrid/lesions_test,
cataract and stare of --data, and writes studies/results/quality.json. With --pairs, on synthetic
pairs of these presets alone, for which there is time on all photographs of val_clean. A second run
gives the same numbers to the last digit on the same machine.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from magenet_batch.evaluation.evaluate import EvaluateOptions, evaluate

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", default="small")
    parser.add_argument("--against", default="clahe,luminosity,dcp,graham")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--pairs", default="", help="presets; leaves all other data out")
    parser.add_argument("-o", "--output", type=Path, default=Path("eval/quality"))
    parser.add_argument("--result", type=Path, default=RESULTS / "quality.json")
    arguments = parser.parse_args()
    data = arguments.data
    if not data.is_dir():
        sys.exit(f"the photographs are not there: {data}; say where with --data")
    options = EvaluateOptions(
        weights=arguments.weights, output=arguments.output, images=arguments.images,
        clean=data / "idrid/val_clean", against=tuple(arguments.against.split(",")),
    )  # fmt: skip
    if arguments.pairs:
        options = replace(options, presets=tuple(arguments.pairs.split(",")))
    else:
        options = replace(
            options, vessels=data / "hrf/test-vessels", lesions=data / "idrid/lesions_test",
            real=(data / "cataract", data / "stare"),
        )  # fmt: skip
    text = evaluate(
        options,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )  # fmt: skip
    print(text)
    arguments.result.parent.mkdir(exist_ok=True)
    shutil.copyfile(arguments.output / "summary.json", arguments.result)


if __name__ == "__main__":
    main()
