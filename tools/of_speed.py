"""Tables about the speed of the network, for `document.py`."""

from __future__ import annotations

from of_quality import Numbers, table

_PARTS = ("structure module", "sensor stage")


def network(results: Numbers) -> str:
    """Networks alone: arithmetic, time, memory, and several processes at the same time."""
    found = results["network"]
    rows = [
        [name, f"{one['gmac']:.2f}", f"{one['million_parameters']:.2f}",
         f"{one['milliseconds']:.0f}", f"{one['cpu_milliseconds']:.0f}",
         f"{one['peak_mib']:.0f}",
         *(f"{one['together'][key]:.{digits}f}" if "together" in one else ""
           for key, digits in (("per_second", 1), ("cpu_milliseconds", 0)))]
        for name, one in found["networks"].items()
    ]  # fmt: skip
    threads = found["threads"]
    said = (
        f"{threads} threads; {found['capability']}, torch {found['torch']}; the machine's load was "
        f"{found['load']:.0f}, on two cores."
    )
    several = f"{threads} processes with one thread"
    head = ["network", "GMAC", "million parameters", "ms", "ms of CPU", "peak MiB",
            f"{several}: images/s", "ms of CPU an image"]  # fmt: skip
    return f"{said}\n\n{table(head, rows)}"


def training(results: Numbers) -> str:
    """The share of a training step that is spent outside the network."""
    found = results["training_step"]
    kinds = ("batches", "clipping", "optimiser", "teacher", "outside")
    rows = []
    for name, one in found["parts"].items():
        part, loaders = name.split(", ")
        shares = [f"{100 * one[kind]:.1f} %" for kind in kinds]
        rows.append([part, loaders, f"{one['step_ms']:.0f}", *shares])
    head = ["part", "`run.loaders`", "ms a step", "batches", "clipping", "optimiser", "teacher",
            "all outside"]  # fmt: skip
    return f"{table(head, rows)}\n\nThe machine's load was {found['load']:.0f}, on two cores."


def image(results: Numbers) -> str:
    """One large image from JPEG to JPEG, case by case and step by step."""
    found = results["image"]
    rows = []
    for label, case in found["cases"].items():
        cells = [f"{step['cpu_seconds']:.2f}" for step in case["steps"].values()]
        total = case["total"]
        rows.append([label, *cells, f"{total['cpu_seconds']:.2f}", f"{total['seconds']:.2f}",
                     f"{case['peak_mib']:.0f}"])  # fmt: skip
    steps = next(iter(found["cases"].values()))["steps"]
    head = ["", *(f"{step} (CPU s)" for step in steps), "in all (CPU s)", "in all (s)", "peak MiB"]
    decoders = ", ".join(
        f"{name} {1000 * one['cpu_seconds']:.0f}" for name, one in found["decoders"].items()
    )
    return (
        f"{found['threads']} threads; the machine's load was {found['load']:.0f}, on two cores.\n\n"
        f"{table(head, rows)}\n\nDecoders, milliseconds of CPU: {decoders}."
    )


def backends(results: Numbers) -> str:
    """Every back end, part by part: how much faster, and the error."""
    found = results["backends"]
    names = list(dict.fromkeys(name for part in _PARTS for name in found[part]))
    rows = [[name, *(cell for part in _PARTS for cell in _cells(found[part], name))]
            for name in names]  # fmt: skip
    head = ["back end", *(c for part in _PARTS for c in (f"{part}, faster", "off by /255"))]
    facts = found["facts"]
    said = (
        f"{facts['size']} px, one thread, {facts['capability']}, torch {facts['torch']}; the "
        f"machine's load was {facts['load']:.0f}, on two cores. PyTorch as the product runs it: "
        + " and ".join(f"{_reference(found[part]):.0f} ms of CPU" for part in _PARTS) + "."
    )  # fmt: skip
    return f"{said}\n\n{table(head, rows)}"


def _cells(part: Numbers, name: str) -> tuple[str, str]:
    one = part.get(name)
    if one is None:
        return "", ""
    if "error" in one:
        return one["error"], ""
    return f"{one['faster']:.2f}", f"{one['off']:.2f}"


def _reference(part: Numbers) -> float:
    return min(one["reference_ms"] for one in part.values() if "reference_ms" in one)


def passes(results: Numbers) -> str:
    """What was chosen, and what it was chosen over, in milliseconds."""
    found = results["passes"]
    rows = []
    for name, group in found["forms"].items():
        (chosen, least), *others = group.items()
        over = "; ".join(f"{other} {ms:.1f}" for other, ms in others)
        rows.append([name, f"{chosen} {least:.1f}", over])
    cost = found["cost"]
    said = (
        f"One image: {cost['ratio']:.2f} times the CPU time of `affine` (the fastest of many runs; "
        f"median of the pairs {cost['median_ratio']:.2f}). Milliseconds of CPU, one thread; the "
        f"machine's load was {found['load']:.0f}, on two cores."
    )
    return f"{said}\n\n{table(['operation', 'chosen', 'instead of'], rows)}"


def roofline(results: Numbers) -> str:
    """Every stage: what it computes and moves, the least time for that, and the share reached."""
    by_set = results["roofline"]
    first = next(iter(by_set.values()))
    rows = []
    for name, one in first["stages"].items():
        cells = [f"{one['gmac']:.2f}", f"{one['mb']:.0f}"]
        for found in by_set.values():
            stage = found["stages"][name]
            cells += [f"{stage['arithmetic_ms']:.1f}", f"{stage['least_ms']:.1f}",
                      f"{stage['ms']:.1f}", f"{100 * stage['share']:.0f} %"]  # fmt: skip
        rows.append([name, *cells])
    said = [
        f"{name}: one thread reaches {found['peaks']['gmac_per_second']:.0f} GMAC/s in a product "
        f"of matrices, and copies {found['peaks']['gb_per_second']:.0f} GB/s in memory, "
        f"{found['peaks']['gb_per_second_in_cache']:.0f} GB/s in its cache (read and written)."
        for name, found in by_set.items()
    ]
    head = ["stage", "GMAC", "MB moved"]
    for name in by_set:
        head += [f"{name}: ms of arithmetic alone", "least ms", "ms", "share"]
    load = max(found["facts"]["load"] for found in by_set.values())
    return (
        f"{' '.join(said)} The machine's load was {load:.0f}, on two cores.\n\n{table(head, rows)}"
    )


def gpu(results: Numbers) -> str:
    """The network alone on a GPU, if one was measured."""
    if "gpu" not in results:
        return "Not measured."
    found = results["gpu"]
    rows = [
        [f"{before}{name}", f"{one['ms']:.2f}", f"{one['peak_mib']:.0f}",
         f"{one['off']['most']:.2f}"]
        for part, before in (("native", "12 megapixels, "), ("sizes", ""), ("batches", ""))
        for name, one in found[part].items()
        if isinstance(one, dict) and "off" in one
    ]  # fmt: skip
    facts = found["facts"]
    said = f"{facts['device']}, torch {facts['torch']}; `base`: {found['base_weights']} weights."
    return f"{said}\n\n{table(['network', 'ms', 'peak MiB', 'off by /255'], rows)}"


def gpu_threads(results: Numbers) -> str:
    """What threads that read and write are worth to a worker whose network only sleeps."""
    if "gpu_threads" not in results:
        return "Not measured."
    found = results["gpu_threads"]
    rows = [
        [f"{one['side']}", f"{one['readers']} and {one['readers']}", f"{one['batch']}",
         f"{one['images_per_second']:.2f}", f"{one['busy_cores']:.2f}"]
        for one in found["rows"]
    ]  # fmt: skip
    said = f"{found['processor']}, {found['cores']} cores; {found['sleep_ms']:.0f} ms an image."
    titles = ["side (px)", "threads that read and write", "batch", "images/s", "cores busy"]
    return f"{said}\n\n{table(titles, rows)}"
