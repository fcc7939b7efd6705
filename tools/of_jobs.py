"""Tables about the cost of archive jobs, for `document.py`."""

from __future__ import annotations

from of_quality import Numbers, table


def job(results: Numbers) -> str:
    found = results["job"]
    rows = [
        [name, f"{rate:.2f}",
         f"{found['cpu_s_per_image'][name]:.2f}" if name in found["cpu_s_per_image"] else "-",
         f"{found['first_image_s'][name]:.1f}" if name in found["first_image_s"] else "-"]
        for name, rate in found["rates"].items()
    ]  # fmt: skip
    ratios = [[name, f"{value:.2f}"] for name, value in found["ratios"].items()]
    head = ["", "images/s", "CPU seconds an image", "first image after (s)"]
    said = (
        f"{found['images']} images of {found['size']} px; the machine's load was "
        f"{found['load']:.0f} before it began, on two cores."
    )
    return f"{table(head, rows)}\n\n{table(['ratio in one run', ''], ratios)}\n\n{said}"


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
        if "price" in found:
            head += ["images an hour", "images a euro"]
            for row, one in zip(rows, found["ways"].values(), strict=True):
                row += [f"{one['per_hour']:,.0f}", f"{one['per_euro']:,.0f}"]
            title = (
                f"{title[:-1]}, {found['price']:.2f} euros for an hour; the machine's load was "
                f"{found['load']:.0f}, on two cores:"
            )
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


def start_steps(results: Numbers) -> str:
    """The steps of one process up to its first image, and what it imports."""
    found = results["start_steps"]
    steps = found["steps_ms"]
    rows = [[name, f"{ms / 1000:.2f}"] for name, ms in steps.items()]
    rows.append(["in all", f"{sum(steps.values()) / 1000:.2f}"])
    packages = ", ".join(f"{name} {ms / 1000:.2f}" for name, ms in found["imports_ms"].items())
    return (
        f"{table(['step of one process', 'CPU seconds'], rows)}\n\nOf the imports, elapsed seconds "
        f"by package: {packages}. The machine's load was {found['load']:.0f}, on two cores."
    )


def power_loss(results: Numbers) -> str:
    """Power cuts that were tried."""
    head = ["job", "operations", "kinds of operations", "cuts and losses", "different disks",
            "failed"]  # fmt: skip
    rows = [
        [one["what"], f"{sum(one['operations'].values())}",
         ", ".join(f"{count} {name}" for name, count in one["operations"].items()),
         f"{one['cuts']}", f"{one['different']}", f"{one['failed']}"]
        for one in results["power_loss"]
    ]  # fmt: skip
    return table(head, rows)


def flushing(results: Numbers) -> str:
    """What flushes of folders cost."""
    found = results["flushing"]
    head = ["network, images", "images/s with", "without", "flushing, ms an image", "share"]
    rows = [
        [name, f"{one['with_per_s']:.2f}", f"{one['without_per_s']:.2f}",
         f"{one['flush_ms']:.1f}", f"{100 * one['flush_share']:.1f} %"]
        for name, one in found.items() if name != "load"
    ]  # fmt: skip
    return f"{table(head, rows)}\n\nThe machine's load was {found['load']:.0f}, on two cores."


def soak(results: Numbers) -> str:
    """Beginning and end of a long job, and of a service under a killer."""
    found, watched = results["soak"], results["soak_watch"]
    head = ["", "images/s", "memory (MiB)", "open files", "threads"]
    rows = [
        [f"{name}, {part} quarter", f"{one['images_per_s']:.1f}", f"{one['mib']:.0f}",
         f"{one['handles']}", f"{one['threads']}"]
        for name, run in (("job", found), ("service", watched))
        for part in ("first", "last") for one in [run[f"{part}_quarter"]]
    ]  # fmt: skip
    kills = watched["killed"]
    said = (
        f"Job: {found['done']:,} images in {found['seconds'] / 60:.0f} minutes; at most "
        f"{found['peak_mib']:.0f} MiB; the machine's load was {found['load']:.0f}, on two cores."
    )
    minutes = watched["samples"][-1][0] / 60
    service = (
        f"Service: {watched['arrived']:,} images arrived and were done in {minutes:.0f} minutes; "
        f"killed (SIGKILL): {kills['SIGKILL']}, stopped (SIGTERM): {kills['SIGTERM']}; "
        f"{watched['rows']:,} rows of {watched['done']:,} images, {watched['written']:,} outputs, "
        f"{watched['generations']} generations; differences from one undisturbed job: "
        f"{len(watched['differences'])}. At most {watched['peak_mib']:.0f} MiB; the machine's load "
        f"was {watched['load']:.0f}."
    )
    return f"{table(head, rows)}\n\n{said}\n\n{service}"
