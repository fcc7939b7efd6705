"""Options of commands are those of a job: stated once, with one default."""

from __future__ import annotations

import inspect
import shlex

import pytest
from pydantic_core import PydanticUndefined
from typer.core import TyperGroup
from typer.main import get_command

from magenet_batch.cli import assess, enhance, watch
from magenet_batch.cli.main import COMMANDS, app
from magenet_batch.jobs.options import JobOptions

FIELDS = JobOptions.model_fields
OWN = {"dry_run", "as_json", "every", "metrics_port"}
"""What a command has beyond the job."""


@pytest.mark.parametrize("command", [enhance.command, assess.command])
def test_every_option_has_the_default_of_the_job(command):
    for name, parameter in inspect.signature(command).parameters.items():
        if name in OWN:
            continue
        wanted = FIELDS[name].default
        given = parameter.default
        if given is inspect.Parameter.empty:
            assert wanted is PydanticUndefined, name
        else:
            assert given == (wanted if wanted != () else None), name


def test_a_job_can_be_told_everything_that_it_understands():
    given = set(inspect.signature(enhance.command).parameters) - OWN
    assert given | {"assess"} == set(FIELDS)


def test_a_service_has_the_options_of_its_job():
    """All but those of a single run, with the same defaults, so that either continues the other."""
    of_a_run = {"limit", "part", "retry_failed", "append"}
    job, service = (inspect.signature(c.command).parameters for c in (enhance, watch))
    assert service.keys() - OWN == job.keys() - OWN - of_a_run
    differing = {n for n in service.keys() - OWN if service[n].default != job[n].default}
    assert differing == {"settle"}


@pytest.mark.parametrize(("name", "example"), COMMANDS.items())
def test_every_help_ends_with_an_example_that_the_command_understands(name: str, example: str):
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    command = group.commands[name]
    assert command.epilog == f"Example: {example}" and command.help
    program, called, *arguments = shlex.split(example)
    assert (program, called) == ("magenet", name)
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in arguments if word.startswith("-")} <= known


@pytest.mark.parametrize("name", COMMANDS)
def test_options_of_long_helps_come_in_groups(name: str):
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    options = [p for p in group.commands[name].params if p.opts[0].startswith("-")]
    panels = {getattr(option, "rich_help_panel", None) for option in options}
    assert len(options) <= 6 or len(panels - {None}) > 1
