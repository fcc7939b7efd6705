"""Entry point of the command line: registers the commands and prints errors as sentences."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Annotated

import typer

from magenet_batch import __version__
from magenet_batch.cli.console import require_streams, say, tell
from magenet_batch.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_USAGE, MagenetError
from magenet_batch.settings import PROGRAM

COMMANDS = (
    "enhance",
    "assess",
    "plan",
    "watch",
    "status",
    "report",
    "review",
    "verify",
    "remeasure",
    "send",
    "train",
    "evaluate",
    "degrade",
    "demo",
    "models",
    "doctor",
)
"""Modules of `magenet_batch.cli`, each with a function `command`, in the order of the help."""

_EXAMPLES = {
    "enhance": "Example: magenet enhance /archive -o out --workers 8 --gpus 4",
    "assess": "Example: magenet assess /archive -o grades",
    "plan": "Example: magenet plan /archive --deadline 24h --price 0.40",
    "watch": "Example: magenet watch /inbox -o out --metrics-port 9464",
    "status": "Example: magenet status out",
    "report": "Example: magenet report out --format html --open",
    "review": "Example: magenet review out --apply decisions.csv",
    "verify": "Example: magenet verify out",
    "remeasure": "Example: magenet remeasure out",
    "send": "Example: magenet send out https://HOST/dicom-web",
    "train": "Example: magenet train recipes/small.toml --set run.output=runs/mine",
    "evaluate": "Example: magenet evaluate --clean photographs --against clahe -o eval",
    "degrade": "Example: magenet degrade photographs -o copies --copies 3",
    "demo": "Example: magenet demo -o demo",
    "models": "Example: magenet models --json",
    "doctor": "Example: magenet doctor",
}

# Torch reads this when it is loaded. Threads that wait for each other must not spin: they would
# take the cores from threads that read and measure images, or from other programs, and the network
# would run several times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(
    name=PROGRAM,
    help="Restore archives of fundus photographs, with evidence for every image.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        tell(f"{PROGRAM} {__version__}")
        raise typer.Exit(EXIT_DONE)


@app.callback()
def _frame(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def _register() -> None:
    for name in COMMANDS:
        module = f"magenet_batch.cli.{name}"
        if importlib.util.find_spec(module) is not None:
            app.command(name, epilog=_EXAMPLES[name])(importlib.import_module(module).command)


_register()


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments after the program's name; None for those of the process.

    Returns:
        The exit code.
    """
    require_streams()
    try:
        app(args=argv, prog_name=PROGRAM)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except MagenetError as error:
        say(f"{PROGRAM}: {error}")
        return error.exit_code
    except FileNotFoundError:
        if _working_directory_exists():
            raise
        say(f"{PROGRAM}: the working directory was deleted: change to another with cd.")
        return EXIT_USAGE
    except KeyboardInterrupt:
        say(f"{PROGRAM}: interrupted")
        return EXIT_INTERRUPTED
    return EXIT_DONE


def _working_directory_exists() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  Path.cwd() is the same, in other words
    except FileNotFoundError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
