"""Tables of grades, fidelity and where the error lies, for document.py."""

from __future__ import annotations

from typing import Any

from magenet_batch.records.vocabulary import GRADES

Numbers = dict[str, Any]


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def strengths(results: Numbers) -> str:
    """What the multiples of the sensor stage's changes do on training photographs."""
    columns = (
        "evaluation iou", "mild iou", "evaluation auc", "mild auc", "blur psnr gained",
        "jpeg psnr gained", "mild psnr gained",
    )  # fmt: skip
    rows = [
        [f"{row['strength']}", f"{row['unsure']}", *(f"{row[name]:.2f}" for name in columns)]
        for row in results["strength_small"]["rows"]
    ]
    head = ["strength", "unsure", "IoU, `evaluation`", "IoU, `mild`", "AUC, `evaluation`",
            "AUC, `mild`", "dB, blur", "dB, JPEG", "dB, `mild`"]  # fmt: skip
    return table(head, rows)


def frames(results: Numbers) -> str:
    """How far the frames of photographs are those of a known camera, by folder."""
    rows = [
        [name, str(row["photographs"]), str(row["recognised"]),
         *(f"{row[k]:.3f}" for k in ("least", "median", "most"))]
        for name, row in results["frames"]["folders"].items()
    ]  # fmt: skip
    return table(["folder", "photographs", "recognised", "least", "median", "most"], rows)


def dust(results: Numbers) -> str:
    """What the spots stage undoes of drawn spots, and takes for spots in real photographs."""
    found = results["dust"]
    drawn = [
        [name, str(row["photographs"]), f"{row['network alone, dB']:+.1f}",
         f"{row['with evidence, dB']:+.1f}", f"{row['with evidence, worst dB']:+.1f}"]
        for name, row in found["drawn"].items()
    ]  # fmt: skip
    real = [
        [name, *(str(row[k]) for k in (
            "photographs", "suspected", "in photographs", "taken away", "from photographs"
        ))]
        for name, row in found["real"].items()
    ]  # fmt: skip
    return "\n\n".join([
        table(["drawn into", "photographs", "network alone (dB)", "with evidence (dB)",
               "worst (dB)"], drawn),
        table(["photographs as they are", "number", "spots suspected", "in photographs",
               "taken away", "from photographs"], real),
    ])  # fmt: skip


def views(results: Numbers) -> str:
    """What several mirrored views of the light are worth, on cameras that training knows or not."""
    columns = [
        f"{camera}, {preset}" for camera in ("known", "unseen")
        for preset in ("evaluation", "mild", "clean")
    ]  # fmt: skip
    rows = [
        [f"{row['views']:.0f}", *(f"{row[c]:.1f}" if "clean" in c else f"{row[c]:+.2f}"
                                  for c in columns), f"{row['milliseconds']:.1f}"]
        for row in results["views"]["rows"]
    ]  # fmt: skip
    return table(["views", *columns, "ms"], rows)


def narrowed(results: Numbers) -> str:
    """What a sensor stage loses that is made narrower, on crops of validation photographs."""
    found = results["narrow_sensor"]
    kept = ", ".join(f"{name} {found[name]:.2%}" for name in ("heads", "encoder", "decoder"))
    head = ["narrow stage", "share of the wide one's change", "the same, only compressed",
            "dB gained", "dB, wide"]  # fmt: skip
    rows = [
        [name, f"{found[key]['explained']:.2%}", f"{found[key]['explained, compressed']:.2%}",
         f"{found[key]['narrow']:.2f}", f"{found[key]['wide']:.2f}"]
        for name, key in (("closed forms", "closed form"), ("trained", "trained"))
    ]  # fmt: skip
    return f"{table(head, rows)}\n\nThe closed forms keep this share of the variance: {kept}."


def bands(results: Numbers) -> str:
    """Where the error lies, and what would remain."""
    found = results["bands"]["presets"]
    names = list(next(iter(next(iter(found.values())).values()))["share"])
    rows = [
        [name, method, f"{one['psnr']:.2f}", *(f"{one['share'][n]:.0%}" for n in names),
         *(f"{one['psnr_if_right_up_to'][n]:.1f}" for n in names[:2])]
        for name, methods in found.items() for method, one in methods.items()
    ]  # fmt: skip
    head = ["degradation", "method", "PSNR", *names, f"if {names[0]} were right",
            f"and {names[1]}"]  # fmt: skip
    return table(head, rows)


def grades(results: Numbers) -> str:
    """The grade against what is known of photographs, beside sharpness alone."""
    found = results["assess"]
    drimdb, cataract = found["drimdb"], found["cataract"]
    synthetic, ladders, stored = (
        found["synthetic"], found["ladders"], found["synthetic"]["stored_otherwise"],
    )  # fmt: skip
    good, bad = drimdb["images"]["good"], drimdb["images"]["bad"]
    rows = [
        [f"DRIMDB, {good} good against {bad} bad: AUC",
         f"{drimdb['auc_grade']:.3f}", f"{drimdb['auc_sharpness']:.3f}"],
        [f"CSDI, {cataract['images']} images: rank correlation with severity of cataract",
         f"{cataract['spearman_grade']:.2f}", f"{cataract['spearman_sharpness']:.2f}"],
        [f"one degradation, stronger in {ladders['steps']} steps: rank correlation with the step, "
         f"mean over {ladders['images']} images", f"{-ladders['spearman_mean']:.2f}", ""],
        [f"{synthetic['pictures']} pictures, all sorts of degradation pooled: rank correlation "
         "with severity", f"{-synthetic['spearman_grade']:.2f}", ""],
        [f"{synthetic['pictures_of_sharp']} of them, without four photographs known to be dark or "
         "veiled",
         f"{-synthetic['spearman_grade_sharp']:.2f}", ""],
        *([f"the same picture stored {name}: mean change of the score",
           f"{stored[how]['mean']:.3f}", ""]
          for how, name in (("half", "at half size"), ("jpeg", "as JPEG 85"))),
    ]  # fmt: skip
    return table(["", "grade", "sharpness alone"], rows)


def filters(results: Numbers) -> str:
    """What filters do to the score, and fidelity to them."""
    rows = [
        [name, f"{f['score_before']:.2f}", f"{f['score_after']:.2f}", f"{f['fidelity']:.3f}",
         f"{f['raised_and_delivered']:.0%}"]
        for name, f in results["assess"]["filters"].items()
    ]  # fmt: skip
    return table(
        ["filter", "score before", "score after", "fidelity", "raised and delivered"], rows
    )


def planting(results: Numbers) -> str:
    """What was planted in the outputs of held-out images, and how much was caught."""
    found = results["planting"]["held_out"]
    alarms, least = found["false_alarms"], results["planting"]["least_fidelity"]
    quiet = found["images"] - found["blurred_or_noisy"]
    rows = [
        [kind, str(caught["planted"]), f"{caught['share']:.0%}"]
        for kind, caught in found["caught"].items()
    ]
    rows += [
        ["nothing: flagged for vessels or lesions", str(found["images"]),
         f"{alarms['anatomy']:.1%}"],
        ["nothing, neither blurred nor noisy: the same", str(quiet),
         f"{alarms['anatomy_without_blur_and_noise']:.1%}"],
        ["nothing: flagged for colour", str(found["images"]), f"{alarms['wrong_colour']:.1%}"],
        [f"nothing: withheld (fidelity below {least:g})", str(found["images"]),
         f"{found['undelivered']:.1%}"],
    ]  # fmt: skip
    return table(["planted", "outputs", "caught"], rows)


def fading(results: Numbers) -> str:
    """What is called faded on held-out images: of honest outputs, and of bleached ones."""
    found = results["fading"]["held_out"]
    honest, under = found["honest"], found["area_under"]
    rows = [
        [
            f"an area, {float(s):.0%} of its contrast, the light restored",
            str(one["n"]),
            f"{one['share']:.1%}",
        ]
        for s, one in found["area_by_strength"].items()
    ]
    rows += [
        [
            f"an area, {float(s):.0%}, with {what} taken away",
            str(under[kind][s]["n"]),
            f"{under[kind][s]['share']:.0%}",
        ]
        for kind, what in (("blur", "blur"), ("haze", "a veil"))
        for s in under[kind]
    ]
    rows += [
        [f"{what}, {float(s):.0%}", str(one["n"]), f"{one['share']:.0%}"]
        for kind, what in (
            ("vessels", "vessels"),
            ("macula", "the macula"),
            ("painted", "a retina painted on fog, at"),
        )
        for s, one in found[kind].items()
    ]
    rows.append(
        [
            "nothing: honest outputs, all kinds below but the last two",
            str(honest["n"]),
            f"{honest['share']:.1%}",
        ]
    )
    rows += [
        [f"nothing: {kind}", "", f"{share:.0%}"]
        for kind, share in honest.items()
        if kind not in ("n", "share", "vessel_contrast", "area_contrast", "macula_contrast")
    ]
    return table(["bleached", "outputs", "called faded"], rows)


def fading_sizes(results: Numbers) -> str:
    """Areas by size and tone: share caught at each strength."""
    found = results["fading"]["held_out"]["area"]
    cells: dict[str, dict[str, list[str]]] = {}
    for key, one in found.items():
        size, tone, _ = key.split()
        cells.setdefault(size, {}).setdefault(tone, []).append(f"{one['share']:.0%}")
    rows = [
        [f"{float(size):g}", *(" / ".join(cells[size][tone]) for tone in ("dark", "bright"))]
        for size in cells
    ]
    return table(["radius (radii of the field)", "dark", "bright"], rows)


def recognised(results: Numbers) -> str:
    """What photographs were taken for."""
    total = results["recognising"]["total"]
    words = {"several_fields": "several fields", "not_fundus": "no fundus", "not_colour": "grey",
             "hopeless": "hopeless", "no_fov": "without a field of view"}  # fmt: skip
    folders = results["recognising"]["folders"]
    rows = [
        [
            word,
            str(total[kind]),
            ", ".join(
                f"{name} {len(one[kind])} of {one['images']}"
                for name, one in folders.items()
                if kind in one
            ),
        ]
        for kind, word in words.items()
    ]
    return table([f"taken for (of {total['images']})", "images", "where"], rows)


def lettering(results: Numbers) -> str:
    """Text that was written into the border, and what else was taken for text."""
    found = results["lettering"]
    total = found["total"]
    rows = [[f"a word, {kind}", str(one["written"]), str(one["found"])]
            for kind, one in found["written"].items()]  # fmt: skip
    rows.append(["nothing", str(total["border"]), str(total["called_text"])])
    return table(["written", "photographs with room for it", "text found"], rows)


def delivered(results: Numbers) -> str:
    """What the policy `standard` did with real photographs, and why."""
    rows = []
    for folder, found in results["delivered"]["folders"].items():
        why: dict[str, list[str]] = {"as it came": [], "withheld": [], "failed": []}
        counts = dict.fromkeys(why, 0)
        for verdict, number in found["verdicts"].items():
            what, _, reason = verdict.partition(": ")
            if what in why:
                counts[what] += number
                why[what].append(f"{number} `{reason}`")
        rows.append([
            folder, str(found["images"]), str(found["verdicts"].get("enhanced", 0)),
            str(found["with_dust"]),
            *(f"{counts[what]}: {', '.join(why[what])}" if counts[what] else "0" for what in why),
            str(found["flagged_and_delivered"]), str(found["delivered_fell"]),
        ])  # fmt: skip
    head = [
        "images", "of", "delivered enhanced", "with their dust", "delivered as it came", "withheld",
        "failed", "flagged and delivered", "grades that fell among delivered",
    ]  # fmt: skip
    return table(head, rows)


def darkened(results: Numbers) -> str:
    """Real photographs of which a part went dark, by folder."""
    rows = []
    for folder, found in results["delivered"]["folders"].items():
        one = found["darkened"]
        above = ", ".join(f"`{name}` {share:.1%}" for name, share in one["above"].items())
        rows.append([folder, str(one["images"]), above, f"{one['next']:.1%}"])
    return table(["images", "enhanced, and nothing else amiss", "above", "highest below"], rows)


def regraded(results: Numbers) -> str:
    """Grades before and after by camera, of all images that were enhanced for it."""
    rows = []
    for folder, found in results["delivered"]["folders"].items():
        before, after = (
            " / ".join(str(found[when][g]) for g in GRADES) for when in ("before", "after")
        )
        rows.append([folder, before, after, str(found["rose"]), str(found["fell"]),
                     str(found["delivered_rose"]), str(found["became_gradable"])])  # fmt: skip
    head = ["images", "before: good / usable / reject", "after", "rose", "fell",
            "rose, of delivered", "became gradable"]  # fmt: skip
    return table(head, rows)


def rim(results: Numbers) -> str:
    """Lines along the rim, and how far the change reaches."""
    rows = []
    for folder in ("cataract", "stare"):
        for name, found in results["rim"][folder].items():
            if name == "strongest":
                continue
            values = [
                f"{one['median']:.2f} ({one['p95']:.2f})" if one else ""
                for one in (found["line"], found["seam"], found["reached"])
            ]
            rows.append([f"{folder}, {found['images']}", name, *values])
    head = ["images", "output", "line, median (p95)", "seam of the change", "reached"]
    return table(head, rows)


def cameras(results: Numbers) -> str:
    """Confusion and calibration of held-out pictures, camera by camera."""
    found = results["grader"]
    rows = []
    never = {f"{name}, of a grader that never saw it": one for name, one in found["unseen"].items()}
    named = {"all": found["all"], "real photographs": found["real"], **found["cameras"], **never}
    for name, one in named.items():
        counts = [" / ".join(map(str, one["counts"][g])) for g in GRADES]
        rows.append([name, str(one["pictures"]), *counts, f"{one['accuracy']:.2f}",
                     f"{one['calibration_error']:.3f}"])  # fmt: skip
    head = ["held out", "pictures", "good, graded good / usable / reject", "usable", "reject",
            "accuracy", "calibration error"]  # fmt: skip
    return table(head, rows)


def assess_speed(results: Numbers) -> str:
    """How fast images are assessed, and what reduced decoding changes."""
    found = results["assess_speed"]
    job, off = found["job"], found["largest_difference_to_whole_decoding"]
    measures = max(value for name, value in off.items() if name not in GRADES)
    return "\n".join([
        f"On {found['images']} photographs of {found['megapixels']:.0f} megapixels one thread",
        f"takes {found['cpu_s_per_image']:.2f} s of processor time an image; a job of",
        f"{job['workers']} workers on two cores does {job['images_per_s']:.1f} images a second",
        f"(steady, over {job['images']} images). Decoding at reduced size moved no measure by",
        f"more than {measures:.3f}, and the probability of good by up to {off['good']:.3f}",
        "(`python benchmarks/assess_speed.py ARCHIVE`).",
    ])  # fmt: skip


def adapted(results: Numbers) -> str:
    """Adaptation with and without consistency, on unseen images, and what it forgets."""
    numbers = results["adapt"]["numbers"]
    real = next(iter(numbers["real"].values()))
    names = {"identity": "nothing", "magenet": "shipped weights", "without": "adapted, without",
             "consistency": "adapted, with consistency"}  # fmt: skip
    measures = ("sharpness", "illumination", "haze", "structure_agreement", "vessel_new",
                "vessel_lost", "colour_shift")  # fmt: skip
    rows = [
        [shown, *(f"{real[name][measure]['value']:.3f}" for measure in measures),
         f"{numbers['synthetic']['evaluation'][name]['psnr']['value']:.2f}"]
        for name, shown in names.items()
    ]  # fmt: skip
    return table(["done", *measures, "synthetic pairs, dB"], rows)


def pairs(results: Numbers) -> str:
    """The headline: all photographs, three presets, intervals, and the share of the gap closed."""
    rows = []
    for name, found in results["pairs"]["numbers"]["synthetic"].items():
        own, left = found["magenet"], found["identity"]
        psnr, ssim = ({m: found[m][k]["value"] for m in found} for k in ("psnr", "ssim"))
        best = max((m for m in found if m not in ("identity", "magenet")), key=psnr.__getitem__)
        room = 1 - ssim["identity"]
        gap = f"{(ssim['magenet'] - ssim['identity']) / room:.2f}" if room > 1e-6 else "–"
        low, high = own["psnr"]["low"], own["psnr"]["high"]
        rows.append([
            name, f"{left['psnr']['value']:.2f}",
            f"{own['psnr']['value']:.2f} [{low:.2f}, {high:.2f}]",
            f"{psnr['magenet'] - psnr['identity']:+.2f}",
            f"{psnr['magenet'] - psnr[best]:+.2f} ({best})", f"{ssim['identity']:.4f}",
            f"{ssim['magenet']:.4f}", gap,
        ])  # fmt: skip
    head = [
        "degradation", "PSNR identity", "PSNR magenet [95 %]", "gain (dB)",
        "over the best classical", "SSIM identity", "SSIM magenet", "SSIM gap closed",
    ]  # fmt: skip
    return table(head, rows)
