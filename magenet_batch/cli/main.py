"""Entry point of the command line: registers the commands and prints errors as sentences."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated

import typer

from magenet_batch import __version__
from magenet_batch.cli.console import require_streams, say, tell
from magenet_batch.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_USAGE, MagenetError
from magenet_batch.settings import PROGRAM

COMMANDS = {
    "enhance": "magenet enhance /archive -o out --workers 8 --gpus 4",
    "assess": "magenet assess /archive -o grades",
    "plan": "magenet plan /archive --deadline 24h --price 0.40",
    "watch": "magenet watch /inbox -o out --metrics-port 9464",
    "status": "magenet status out",
    "report": "magenet report out --format html --open",
    "review": "magenet review out --apply decisions.csv",
    "verify": "magenet verify out",
    "remeasure": "magenet remeasure out",
    "send": "magenet send out https://HOST/dicom-web",
    "train": "magenet train recipes/small.toml --set run.output=runs/mine",
    "evaluate": "magenet evaluate --clean photographs --against clahe -o eval",
    "degrade": "magenet degrade photographs -o copies --copies 3",
    "demo": "magenet demo -o demo",
    "models": "magenet models --json",
    "doctor": "magenet doctor",
}
"""Command -> an example for its help, in the order of the help. Each is a module of `cli` with a
function `command`."""

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
    for name, example in COMMANDS.items():
        module = importlib.import_module(f"magenet_batch.cli.{name}")
        app.command(name, epilog=f"Example: {example}")(module.command)


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
