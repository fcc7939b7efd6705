"""Write the tables of docs/benchmarks.md, of the README and of other pages from committed results.

    python tools/document.py

Every table stands between two comments in its document and is replaced there; the prose around it
is written by hand. `tests/test_readme.py` fails if a document does not show the committed results.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import of_jobs
import of_quality
import of_speed
from of_quality import Numbers, table

from magenet_batch.jobs.plan.estimate import worker_seconds

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import gate_table

ROOT = Path(__file__).parent.parent
RESULTS = (
    ROOT / "benchmarks" / "results", ROOT / "studies" / "results", ROOT / "tools" / "results"
)  # fmt: skip


Line = tuple[str, str, str, int]
"""Words, gate, part of the gate, and digits of one line of a table."""


def mean(found: Numbers, digits: int) -> str:
    return f"{found['value']:.{digits}f}"


def synthetic(results: Numbers, measure: str, digits: int) -> str:
    """Degradations down, methods across, and the gain over doing nothing."""
    presets = results["quality"]["numbers"]["synthetic"]
    methods = list(next(iter(presets.values())))
    rows = []
    for name, found in presets.items():
        gain = found["magenet"][measure]["value"] - found["identity"][measure]["value"]
        rows.append([name, *(mean(found[m][measure], digits) for m in methods),
                     f"{gain:+.{digits}f}"])  # fmt: skip
    return table(["degradation", *methods, "gain"], rows)


def gates(results: Numbers) -> str:
    """Every gate in a short row, by weights, and a sentence that counts them."""
    weights = {"small": results["gates"]["gates"], "base": results["gates_base"]["gates"]}
    holding = {
        n: sum(one["holds"] is True for one in found.values()) for n, found in weights.items()
    }
    said = (
        f"Of {len(weights['small'])} gates, {holding['small']} pass with the weights `small` and "
        f"{holding['base']} with `base`."
    )
    return f"{gate_table.brief(weights)}\n\n{said}"


def compared(results: Numbers, names: Mapping[str, str], lines: Sequence[Line]) -> str:
    """Some gates of several weights side by side."""
    gates = [results[name]["gates"] for name in names.values()]
    rows = [
        [said, *(_value(one, gate, part, digits) for one in gates)]
        for said, gate, part, digits in lines
    ]
    return table(["", *names], rows)


def _value(gates: Numbers, gate: str, part: str, digits: int) -> str:
    return f"{gates[gate]['parts'][part]['value']:.{digits}f}" if gate in gates else "-"


def statistics(results: Numbers) -> str:
    """Gates by what of the light stage is told by statistics."""
    lines = (
        ("known camera, `evaluation`, PSNR over nothing (dB)", "psnr_known", "evaluation", 2),
        ("known camera, `mild`, PSNR over nothing (dB)", "psnr_known", "mild", 2),
        ("SSIM gap closed, `evaluation`", "ssim_gap", "evaluation", 2),
        ("SSIM gap closed, `mild`", "ssim_gap", "mild", 2),
        ("vessel gap closed, `mild` (IoU)", "vessel_iou", "mild", 2),
        ("blur alone, PSNR over nothing (dB)", "blur_noise", "blur", 2),
        ("unseen camera, `evaluation`, PSNR (dB)", "psnr_unseen", "evaluation, raw", 2),
        ("the same, aligned (dB)", "psnr_unseen", "evaluation, aligned", 2),
        ("unseen camera, clean (dB)", "clean_unseen", "lesav", 1),
        ("unseen camera, shift of colour (dE)", "colour", "lesav", 2),
    )  # fmt: skip
    names = {
        "none": "gates_plain", "fields and tone": "gates_statistics",
        "none, later": "gates_vessels", "the tone alone": "gates_tone",
    }  # fmt: skip
    return compared(results, names, lines)


def known(results: Numbers) -> str:
    """Gates with the tone of a known camera told or not."""
    lines = (
        ("SSIM gap closed, `evaluation`", "ssim_gap", "evaluation", 2),
        ("SSIM gap closed, `mild`", "ssim_gap", "mild", 2),
        ("blur alone, PSNR over nothing (dB)", "blur_noise", "blur", 2),
        ("noise alone, PSNR over nothing (dB)", "blur_noise", "noise", 2),
        ("clean, known camera (dB)", "clean_known", "PSNR", 1),
    )
    names = {
        "not told": "gates_untold", "gains told": "gates_known",
        "with doubt": "gates_known_gains", "shipped": "gates",
    }  # fmt: skip
    return compared(results, names, lines)


_VESSELS: tuple[Line, ...] = (
    ("vessel gap closed, `evaluation` (IoU)", "vessel_iou", "evaluation", 2),
    ("vessel gap closed, `mild` (IoU)", "vessel_iou", "mild", 2),
    ("vessel gap closed, blur alone (IoU)", "vessel_iou", "blur alone", 2),
    ("vessel gap closed, `mild` (AUC)", "vessel_auc", "mild", 2),
)
_SENSOR_ALONE: tuple[Line, ...] = (
    ("blur alone, PSNR over nothing (dB)", "blur_noise", "blur", 2),
    ("noise alone, PSNR over nothing (dB)", "blur_noise", "noise", 2),
)


def narrow(results: Numbers) -> str:
    """Gates before and after the sensor stage was made narrower."""
    lines = (
        *_VESSELS,
        *_SENSOR_ALONE,
        ("lesions, `evaluation`", "lesions", "evaluation", 3),
        ("bad photographs, delivered: `hygd/degraded`", "real_bad",
         "hygd/degraded, delivered, median", 2),
        ("CPU at 512 px, to `affine`", "cost", "512 px, to the reference's", 2),
        ("CPU at 12 megapixels, to `affine`", "cost", "12 megapixels, to the reference's", 2),
    )  # fmt: skip
    return compared(results, {"wide": "gates_wide", "narrow": "gates"}, lines)


def sizes(results: Numbers) -> str:
    """Gates by size, and before the training on a GPU."""
    names = {"`small`, before": "gates_vessels", "`small`": "gates", "`base`": "gates_base"}
    lines = (
        *_VESSELS,
        ("lesions, `evaluation`", "lesions", "evaluation", 2),
        *_SENSOR_ALONE,
        ("JPEG alone, PSNR over nothing (dB)", "kinds", "jpeg, PSNR", 2),
        ("contrast to grain, undegraded LES-AV", "real_noise", "lesav, mean", 2),
        ("bad photographs, delivered: cataract", "real_bad", "cataract, delivered, median", 2),
        ("bad photographs, all: worst of cataract", "real_bad", "cataract, all, worst", 2),
        ("CPU at 512 px, to `affine`", "cost", "512 px, to the reference's", 1),
    )
    return compared(results, names, lines)


def weighted(results: Numbers) -> str:
    """Gates by the weight of vessels in the sensor stage's loss."""
    names = {"1, 0": "gates_plain", "5, 1": "gates_vessels", "11, 2": "gates_vessels_heavy"}
    lines = (
        *_VESSELS,
        ("lesions, `mild`", "lesions", "mild", 2),
        *_SENSOR_ALONE,
    )
    return compared(results, names, lines)


def cost(results: Numbers) -> str:
    """CPU seconds of a 12-megapixel photograph, with nothing wrong and with every stage at work."""
    cases = results["image"]["cases"]
    good, faulty = (cases[name] for name in ("nothing wrong", "every stage works"))
    return (
        f"A JPEG of 12 megapixels takes {good['total']['cpu_seconds']:.1f} seconds of one CPU core "
        f"if nothing is wrong with it, and\n{faulty['total']['cpu_seconds']:.1f} if every stage of "
        f"the network works, from JPEG to JPEG with all measures, and at most "
        f"{max(good['peak_mib'], faulty['peak_mib']):.0f} MiB\n(`benchmarks/image.py`, on an AMD "
        "EPYC)."
    )


def ceilings(results: Numbers) -> str:
    """What an oracle reaches within each form, preset by preset."""
    rows = []
    for name, forms in results["ceilings"].items():
        preset = name.split()[-1]
        for form, found in forms.items():
            values = [f"{found[m]:.2f}" for m in ("psnr", "psnr_aligned")]
            values += [f"{found[m]:.3f}" for m in ("ssim", "auc", "iou")]
            rows.append([preset, form, *values])
    head = ["degradation", "form", "PSNR", "PSNR aligned", "SSIM", "vessel AUC", "vessel IoU"]
    return table(head, rows)


def vessels(results: Numbers) -> str:
    rows = []
    for name, methods in results["quality"]["numbers"]["vessels"].items():
        for method, found in methods.items():
            values = [mean(found[m], 4) for m in ("auc", "pr_auc", "iou", "dice", "sensitivity")]
            rows.append([name, method, *values])
    return table(["degradation", "method", "AUC", "PR-AUC", "IoU", "Dice", "sensitivity"], rows)


def lesions(results: Numbers) -> str:
    rows = []
    for name, methods in results["quality"]["numbers"]["lesions"].items():
        for method, found in methods.items():
            kinds = ("contrast", "contrast_EX", "contrast_HE", "contrast_MA", "contrast_SE")
            values = [mean(found[k], 3) if k in found else "-" for k in kinds]
            rows.append([name, method, *values])
    return table(["degradation", "method", "all", "EX", "HE", "MA", "SE"], rows)


def real(results: Numbers) -> str:
    measures = ("sharpness", "haze", "illumination", "structure_agreement", "vessel_new",
                "vessel_lost", "colour_shift")  # fmt: skip
    rows = []
    for name, methods in results["quality"]["numbers"]["real"].items():
        for method, found in methods.items():
            rows.append([name, method, *(mean(found[m], 3) for m in measures)])
    return table(["images", "method", *measures], rows)


def variants(found: Numbers) -> str:
    """Networks trained by `ablation.py`, one a row."""
    head = ["trained", "steps", "gain (dB)", "SSIM degraded", "SSIM enhanced", "clean (dB)",
            "clean SSIM"]  # fmt: skip
    rows = [
        [name, str(one["steps"]), f"{one['psnr_gain']:+.2f}", f"{one['ssim_degraded']:.4f}",
         f"{one['ssim_enhanced']:.4f}", f"{one['psnr_clean']:.1f}", f"{one['ssim_clean']:.4f}"]
        for name, one in found["variants"].items()
    ]  # fmt: skip
    return table(head, rows)


def learned(results: Numbers) -> str:
    """Networks with the same training time, compared with doing nothing."""
    rows = []
    for name, found in results["learned"]["numbers"]["synthetic"].items():
        for measure, digits in (("psnr", 2), ("ssim", 4)):
            values = [mean(one[measure], digits) for one in found.values()]
            rows.append([name, measure.upper(), *values])
    methods = list(next(iter(results["learned"]["numbers"]["synthetic"].values())))
    return table(["degradation", "", *methods], rows)


def scaling(results: Numbers) -> str:
    """Cost of the driver: without delays by images, at a fixed rate by workers, and the fits."""
    found = results["scaling"]
    fast = [
        [f"{r['images']:,}", f"{r['workers']}", f"{r['cpu_s']:.2f}", f"{r['peak_mib']:.0f}"]
        for r in found["fast"]
    ]
    paced = [
        [f"{r['images']:,}", f"{r['workers']}", f"{r['images_per_s']:.0f}",
         f"{100 * r['core_share']:.1f} %"]
        for r in found["paced"]
    ]  # fmt: skip
    memory, cpu = found["memory"], found["cpu"]
    said = (
        f"Memory grows along a line: {memory['base']:.0f} MiB and {memory['per_image']:.0f} bytes "
        f"an image. Processor: {cpu['per_image']:.1f} microseconds an image."
    )
    return "\n\n".join([
        table(["images", "workers", "driver CPU (s)", "driver peak (MiB)"], fast), said,
        table(["images", "workers", "images/s", "share of a core"], paced),
    ])  # fmt: skip


def append(results: Numbers) -> str:
    found = results["append"]
    head = ["images done", "new", "first image after (s)", "processor until then (s)",
            "driver peak (MiB)"]  # fmt: skip
    row = [f"{found['before']:,}", f"{found['new']:,}"]
    row += [f"{found[v]:.1f}" for v in ("first_image_s", "cpu_until_then_s")]
    row.append(f"{found['driver_peak_mib']:.0f}")
    return f"{table(head, [row])}\n\nThe machine's load was {found['load']:.0f}, on two cores."


def faults(results: Numbers) -> str:
    """What the fault sweep tried, by place and job."""
    head = ["where", "job", "operations", "kinds of operations", "faults", "tried", "failed"]
    rows = [
        [one["where"], one["what"], f"{sum(one['points'].values())}",
         ", ".join(f"{count} {name}" for name, count in one["points"].items()),
         ", ".join(one["faults"]), f"{one['tried']}", f"{one['failed']}"]
        for one in results["fault_sweep"]
    ]  # fmt: skip
    return table(head, rows)


def simulation(results: Numbers) -> str:
    """What was simulated."""
    found = results["simulation"]
    head = ["seed", "steps", "schedules", "commands that finished", "that were refused",
            "that failed", "broken promises", "seconds"]  # fmt: skip
    how = found["commands"]
    row = [f"{found['seed']}", f"{found['steps']:,}", f"{found['schedules']:,}",
           *(f"{how[name]:,}" for name in ("finished", "refused", "failed")),
           "0" if found["broken"] is None else "1", f"{found['seconds']:.0f}"]  # fmt: skip
    return table(head, [row])


def resume(results: Numbers) -> str:
    found = results["resume"]
    head = [
        "images", "first image after (s)", "processor until then (s)",
        "archive checked after (s)", "driver peak (MiB)",
    ]  # fmt: skip
    values = ("first_image_s", "cpu_until_then_s", "checked_s")
    row = [f"{found['rows']:,}", *(f"{found[v]:.1f}" for v in values)]
    row.append(f"{found['driver_peak_mib']:.0f}")
    return f"{table(head, [row])}\n\nThe machine's load was {found['load']:.0f}, on two cores."


def capacity(results: Numbers) -> str:
    """Worker-hours of 100,000 images by size, and the same estimate compared with a measurement."""
    found = results["archive"]
    rows = []
    for megapixels in (1.5, 4, 8, 12, 24):
        hours = worker_seconds(100_000, 100_000 * megapixels) / 3600
        rows.append(
            [f"{megapixels:g}", f"{hours:,.0f}", f"{hours / 16:,.0f}", f"{hours / 64:,.0f}"]
        )
    predicted = worker_seconds(found["images"], found["megapixels"]) / found["workers"]
    said = (
        f"Checked: {found['images']} images of {found['megapixels']:.0f} megapixels with "
        f"{found['workers']} workers: {predicted:.0f} s predicted without start-up, "
        f"{found['seconds']:.0f} s measured with it."
    )
    head = ["megapixels an image", "worker-hours", "hours with 16 workers", "hours with 64 workers"]
    return f"{table(head, rows)}\n\n{said}"


TABLES: dict[str, tuple[str, Callable[[Numbers], str]]] = {
    "README.md weights": ("weights", gates),
    "README.md cost": ("cost", cost),
    "docs/benchmarks.md gates": ("gates", lambda r: gate_table.table(r["gates"]["gates"])),
    "docs/benchmarks.md sizes": ("sizes", sizes),
    "docs/benchmarks.md strengths": ("strengths", of_quality.strengths),
    "docs/benchmarks.md views": ("views", of_quality.views),
    "docs/benchmarks.md narrowed": ("narrowed", of_quality.narrowed),
    "docs/benchmarks.md narrow": ("narrow", narrow),
    "docs/benchmarks.md frames": ("frames", of_quality.frames),
    "docs/benchmarks.md dust": ("dust", of_quality.dust),
    "docs/benchmarks.md known": ("known", known),
    "docs/benchmarks.md weighted": ("weighted", weighted),
    "docs/benchmarks.md statistics": ("statistics", statistics),
    "docs/benchmarks.md ceilings": ("ceilings", ceilings),
    "docs/benchmarks.md psnr": ("psnr", lambda r: synthetic(r, "psnr", 2)),
    "docs/benchmarks.md ssim": ("ssim", lambda r: synthetic(r, "ssim", 4)),
    "docs/benchmarks.md ms": ("ms_ssim", lambda r: synthetic(r, "ms_ssim", 4)),
    "docs/benchmarks.md vessels": ("vessels", vessels),
    "docs/benchmarks.md lesions": ("lesions", lesions),
    "docs/benchmarks.md real": ("real", real),
    "docs/benchmarks.md learned": ("learned", learned),
    "docs/benchmarks.md scratch": ("scratch", lambda r: variants(r["scratch"])),
    "docs/benchmarks.md ablation": ("ablation", lambda r: variants(r["ablation"])),
    "docs/benchmarks.md image": ("image", of_speed.image),
    "docs/benchmarks.md network": ("network", of_speed.network),
    "docs/benchmarks.md training": ("training", of_speed.training),
    "docs/benchmarks.md backends": ("backends", of_speed.backends),
    "docs/benchmarks.md roofline": ("roofline", of_speed.roofline),
    "docs/benchmarks.md passes": ("passes", of_speed.passes),
    "docs/benchmarks.md gpu": ("gpu", of_speed.gpu),
    "docs/benchmarks.md gpu_threads": ("gpu_threads", of_speed.gpu_threads),
    "docs/benchmarks.md job": ("job", of_jobs.job),
    "docs/benchmarks.md start": ("start", of_jobs.start),
    "docs/benchmarks.md start_steps": ("start_steps", of_jobs.start_steps),
    "docs/benchmarks.md waiting": ("waiting", of_jobs.waiting),
    "docs/benchmarks.md beside": ("beside", of_jobs.beside),
    "docs/benchmarks.md archive": ("archive", of_jobs.archive),
    "docs/benchmarks.md scaling": ("scaling", scaling),
    "docs/benchmarks.md resume": ("resume", resume),
    "docs/benchmarks.md append": ("append", append),
    "docs/benchmarks.md fault_sweep": ("fault_sweep", faults),
    "docs/benchmarks.md simulation": ("simulation", simulation),
    "docs/benchmarks.md power_loss": ("power_loss", of_jobs.power_loss),
    "docs/benchmarks.md flushing": ("flushing", of_jobs.flushing),
    "docs/benchmarks.md soak": ("soak", of_jobs.soak),
    "docs/benchmarks.md pairs": ("pairs", of_quality.pairs),
    "docs/benchmarks.md adapt": ("adapt", of_quality.adapted),
    "docs/benchmarks.md bands": ("bands", of_quality.bands),
    "docs/running.md": ("capacity", capacity),
    "docs/running.md forecast": ("forecast", of_jobs.forecast),
    "docs/quality.md grades": ("grades", of_quality.grades),
    "docs/quality.md filters": ("filters", of_quality.filters),
    "docs/quality.md fading": ("fading", of_quality.fading),
    "docs/quality.md fading_sizes": ("fading_sizes", of_quality.fading_sizes),
    "docs/quality.md recognised": ("recognised", of_quality.recognised),
    "docs/quality.md lettering": ("lettering", of_quality.lettering),
    "docs/quality.md planting": ("planting", of_quality.planting),
    "docs/quality.md assess": ("assess", of_quality.assess_speed),
    "docs/quality.md delivered": ("delivered", of_quality.delivered),
    "docs/quality.md darkened": ("darkened", of_quality.darkened),
    "docs/quality.md regraded": ("regraded", of_quality.regraded),
    "docs/quality.md rim": ("rim", of_quality.rim),
    "magenet_batch/quality/shipped/grader.md": ("cameras", of_quality.cameras),
}


def documents() -> dict[Path, str]:
    """Every document with its current tables."""
    results = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for folder in RESULTS
        for path in folder.glob("*.json")
    }
    texts: dict[Path, str] = {}
    for place, (name, make) in TABLES.items():
        path = ROOT / place.split()[0]
        text = texts.get(path) or path.read_text(encoding="utf-8")
        before, begin, rest = text.partition(f"<!-- {name}:begin -->\n")
        _, end, after = rest.partition(f"<!-- {name}:end -->")
        if not begin or not end:
            raise SystemExit(f"{path} has no place for the table '{name}'")
        texts[path] = f"{before}{begin}{make(results)}\n\n{end}{after}"
    return texts


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
        print(path)
