"""Fuzz every decoder, guided by the coverage of our readers, pydicom, tifffile and Pillow.

    pip install '.[fuzz]'
    python tests/makers/fuzz_coverage.py --seconds 600 --output eval/fuzz

Starts from a small valid file of every kind and the odd files of the corpus. Inputs that reach new
code are kept in `OUTPUT/corpus`, so that another run continues there; inputs that end in anything
but an image or a reason, hang or crash are kept in `OUTPUT/findings`. Compiled decoders are run,
but only the Python code around them guides. Exit code 1 if there are findings.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import subprocess
import sys
import time
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["magenet_batch.imaging", "pydicom", "tifffile", "PIL"]):
    import fuzz_images

LONGEST = 32_768
"""Largest input, bytes: the largest seed has some thousands."""
HANG_S = 20
MEMORY_MIB = 3072
_DONE = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)", re.MULTILINE)


def one_input(data: bytes) -> None:
    """Read and write one file; only images and reasons are right."""
    fuzz_images.outcome(data, random.Random(zlib.crc32(data)))


def mutate(data: bytes, longest: int, seed: int) -> bytes:
    """Damage a file as libFuzzer does, or as `fuzz_images` does, which knows where sizes are."""
    rng = random.Random(seed)
    if data and rng.random() < 0.4:
        return fuzz_images.mutated(data, rng)[:longest]
    changed = bytearray(atheris.Mutate(data, len(data) or 1))
    if changed[:4] == b"\x89PNG" and rng.random() < 0.8:
        fuzz_images.mend_png(changed)
    return bytes(changed[:longest])


def write_seeds(folder: Path) -> int:
    """Write the files to start from; returns their number."""
    from odd_dicoms import odd_dicoms
    from odd_jpegs import odd_jpegs
    from odd_rasters import odd_rasters
    from odd_tiffs import odd_tiffs

    folder.mkdir(parents=True, exist_ok=True)
    odd = [o.data for o in (*odd_tiffs(), *odd_rasters(), *odd_jpegs(), *odd_dicoms())]
    contents = {data for data in (*fuzz_images.seeds().values(), *odd) if len(data) <= LONGEST}
    for data in contents:
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return len(contents)


def fuzz(told: argparse.Namespace) -> int:
    """Restart the fuzzer after each finding until the time is over; returns the exit code."""
    corpus, findings = told.output / "corpus", told.output / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    seeds = write_seeds(told.output / "seeds")
    corpus.mkdir(exist_ok=True)
    began, runs, covered = time.monotonic(), 0, (0, 0, 0)
    with (told.output / "log.txt").open("w") as log:
        while (left := int(told.seconds - (time.monotonic() - began))) > 0:
            done = subprocess.run(
                [sys.executable, __file__, "--child", f"-max_total_time={left}",
                 f"-max_len={LONGEST}", f"-timeout={HANG_S}", f"-rss_limit_mb={MEMORY_MIB}",
                 f"-seed={told.seed}", f"-artifact_prefix={findings}/", "-print_final_stats=1",
                 str(corpus), str(told.output / "seeds")],
                capture_output=True, text=True, errors="replace", check=False,
            )  # fmt: skip
            log.write(done.stderr)
            log.flush()
            for count, *reached in _DONE.findall(done.stderr)[-1:]:
                runs += int(count)
                covered = max(covered, tuple(map(int, reached)))
            told.seed += 1
    kept = sorted(path.name for path in findings.iterdir())
    said = {
        "seeds": seeds, "runs": runs, "edges": covered[0], "features": covered[1],
        "kept_inputs": len(list(corpus.iterdir())), "findings": kept,
        "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    print(json.dumps(said))
    return int(bool(kept))


def main() -> int:
    """Fuzz; as a child, be the fuzzer itself."""
    if sys.argv[1:2] == ["--child"]:
        atheris.Setup([sys.argv[0], *sys.argv[2:]], one_input, custom_mutator=mutate)
        atheris.Fuzz()
    ask = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    ask.add_argument("--seconds", type=int, default=600)
    ask.add_argument("--output", type=Path, default=Path("eval/fuzz"))
    ask.add_argument("--seed", type=int, default=1)
    return fuzz(ask.parse_args())


if __name__ == "__main__":
    sys.exit(main())
