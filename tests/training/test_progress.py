"""What a run says: plain lines, or one bar on a terminal."""

import io

from rich.console import Console

from magenet_batch.training.phases import Phase
from magenet_batch.training.progress import BarReporter, Reporter, make_reporter

PHASES = [Phase("sensor", 100, minutes=5), Phase("light", 1000, minutes=10)]


def test_a_line_tells_the_phase_and_the_time_left_of_the_whole_run():
    said = io.StringIO()
    reporter = Reporter(said, every=0)
    reporter.planned(PHASES)
    reporter.part("sensor", step=0, steps=100, minutes=5)
    reporter.step(50, {"total": 0.5}, seconds=60)
    first, second = said.getvalue().splitlines()
    assert first == "sensor: training, 100 steps or 5 minutes"
    assert second == (
        "sensor, step 50 of 100, 0.83 steps/s: total 0.5; run 8.3 %, 11 min 00 s left"
    )


def test_lines_of_steps_are_rare():
    said = io.StringIO()
    reporter = Reporter(said, every=3600)
    reporter.part("sensor", step=0, steps=100, minutes=0)
    for step in range(1, 50):
        reporter.step(step, {}, seconds=step)
    assert said.getvalue().count("steps/s") == 1


def test_a_terminal_gets_one_bar_and_lines_above_it():
    said = io.StringIO()
    console = Console(file=said, force_terminal=True, width=120)
    reporter = BarReporter(console)
    reporter.planned(PHASES)
    reporter.part("sensor", step=0, steps=100, minutes=5)
    reporter.step(50, {"total": 0.5}, seconds=60)
    reporter.validation(50, {"gain": 1.5})
    reporter.close()
    text = said.getvalue()
    assert "sensor: training, 100 steps or 5 minutes" in text
    assert "validation at step 50: gain 1.5" in text
    assert "11 min 00 s left" in text
    assert "8%" in text


def test_without_a_terminal_lines_are_plain():
    assert type(make_reporter()) is Reporter
