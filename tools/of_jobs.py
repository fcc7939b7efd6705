"""Tables about the cost of archive jobs, for `document.py`."""

from __future__ import annotations

from of_quality import Numbers, table


def job(results: Numbers) -> str:
    found = results["job"]
    rows = [
        [name, f"{rate:.2f}", f"{found['first_image_s'][name]:.1f}"
         if name in found["first_image_s"] else "-"]
        for name, rate in found["rates"].items()
    ]  # fmt: skip
    ratios = [[name, f"{value:.2f}"] for name, value in found["ratios"].items()]
    return table(["", "images/s", "first image after (s)"], rows) + "\n\n" + table(
        ["ratio in one run", ""], ratios
    )  # fmt: skip


def forecast(results: Numbers) -> str:
    """The forecast of a job from a sample, and the job."""
    found = results["capacity"]
    return (
        f"`python benchmarks/capacity.py`: {found['images']} images of three sizes, "
        f"{found['sample']} of them measured, {found['allocation']}: forecast "
        f"{found['forecast_seconds']:.0f} s, took {found['seconds']:.0f} s "
        f"(ratio {found['ratio']:.2f})."
    )


def archive(results: Numbers) -> str:
    found = results["archive"]
    steps = found["step_seconds_per_megapixel"]
    rows = [[name.removesuffix("_s"), f"{value:.3f}"] for name, value in steps.items()]
    said = (
        f"{found['images']} images, {found['megapixels']:.0f} megapixels, "
        f"{found['workers']} workers: {found['seconds']:.0f} s with start-up."
    )
    return f"{said}\n\n{table(['step', 'worker seconds per megapixel'], rows)}"


def beside(results: Numbers) -> str:
    """The job and what a user would write instead, for each network."""
    said = {"sleep": "A network that pauses for 0.1 s", "small": "Weights `small`"}
    parts = []
    for network, found in results["beside"].items():
        rows = [
            [name, f"{one['seconds']:.1f}", f"{one['first_s']:.1f}", f"{one['steady_per_s']:.2f}"]
            for name, one in found["ways"].items()
        ]
        head = ["", "whole run (s)", "first image after (s)", "images/s"]
        title = f"{said[network]}, {found['images']} images of {found['size']} px:"
        parts.append(f"{title}\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def waiting(results: Numbers) -> str:
    """Threads that spin or sleep while they wait."""
    rows = [
        [machine, way, f"{one['seconds']:.2f}", f"{one['cpu_seconds']:.2f}"]
        for machine, ways in results["waiting"].items() for way, one in ways.items()
    ]  # fmt: skip
    return table(["machine", "threads that wait", "seconds", "CPU seconds"], rows)


def start(results: Numbers) -> str:
    """Waiting times of a small job, by kind of workers."""
    found = results["start"]
    keys = ("first_image_s", "cpu_until_then_s", "least_s", "seconds")
    rows = [[way, *(f"{one[key]:.1f}" for key in keys)] for way, one in found["ways"].items()]
    head = [
        "workers are", "first image after (s)", "processor until then (s)",
        "command and busiest process (s)", "whole run (s)",
    ]  # fmt: skip
    said = (
        f"{found['images']} images of {found['size']} px, {found['workers']} workers; the "
        f"machine's load was {found['load']:.0f} before it began, on two cores."
    )
    return f"{table(head, rows)}\n\n{said}"
