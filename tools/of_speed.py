"""Tables about the speed of the network, for `document.py`."""

from __future__ import annotations

from of_quality import Numbers, table

_PARTS = ("structure module", "sensor stage")


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
    found = results["roofline"]
    rates = found["peaks"]
    rows = [
        [name, f"{one['gmac']:.2f}", f"{one['mb']:.0f}", f"{one['arithmetic_ms']:.1f}",
         f"{one['least_ms']:.1f}", f"{one['ms']:.1f}", f"{100 * one['share']:.0f} %"]
        for name, one in found["stages"].items()
    ]  # fmt: skip
    said = (
        f"One thread reaches {rates['gmac_per_second']:.0f} GMAC/s in a product of matrices, and "
        f"copies {rates['gb_per_second']:.0f} GB/s in memory, "
        f"{rates['gb_per_second_in_cache']:.0f} GB/s in its cache (read and written)."
    )
    head = ["stage", "GMAC", "MB moved", "ms of arithmetic alone", "least ms", "ms", "share"]
    return f"{said}\n\n{table(head, rows)}"


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
