"""`magenet demo`: make a small archive of phantoms, enhance it and write a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from magenet_batch.cli.console import make_progress, say, tell
from magenet_batch.settings import DEFAULT_WEIGHTS, PROGRAM
from magenet_batch.storage import Location


def command(
    out: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.")] = Path("demo"),
    images: Annotated[int, typer.Option(min=2, help="Number of files to make.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Random seed for the synthetic images.")] = 0,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of workers; 0 runs in this process. Default: chosen for the machine.",
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            metavar="NAME|PATH", help="Use these weights: a shipped name or a .safetensors file."
        ),
    ] = DEFAULT_WEIGHTS,
    archive_only: Annotated[
        bool, typer.Option("--archive-only", help="Make the images and exit.")
    ] = False,
) -> None:
    """Make a small archive of synthetic fundus images, enhance it and write a report."""
    from magenet_batch.evaluation.demo import make_demo_archive

    archive = make_demo_archive(out / "archive", images=images, seed=seed)
    say(
        f"made {archive.images} files in {archive.folder}: {archive.degraded} degraded, "
        f"one deliberately truncated ({archive.corrupt})"
    )
    if archive_only:
        tell(str(archive.folder.resolve()))
        return
    from magenet_batch.jobs.options import JobOptions
    from magenet_batch.jobs.run import run_job
    from magenet_batch.report.build import write_report

    options = JobOptions(
        archive=(str(archive.manifest),), out=str(out / "out"), workers=workers, weights=weights
    )
    summary = run_job(options, progress=make_progress(), say=say, command=[PROGRAM, *sys.argv[1:]])
    say(summary.text())
    if summary.interrupted:
        raise typer.Exit(summary.exit_code)
    report = write_report(options.out_path)
    tell(_where_to_look(archive.folder.resolve(), options.out_path, report))
    # Only the truncated file may fail.
    if summary.counts.failed > 1:
        raise typer.Exit(summary.exit_code)


def _where_to_look(archive: Path, out: Location, report: Location) -> str:
    """List the results, and the commands to try next."""
    return "\n".join(
        [
            "",
            "Where to look:",
            f"  report   {report}   (open it in a browser)",
            f"  images   {out / 'images'}",
            f"  rows     {out / 'rows'}   (Parquet, one row per image)",
            f"  archive  {archive}",
            "",
            "Your own archive:",
            f"  {PROGRAM} enhance /path/to/archive -o out",
            f"  {PROGRAM} report out",
        ]
    )
