"""How long a run still takes: of phases with minutes, with a speed, and of those with neither."""

import pytest

from magenet_batch.training.phases import Phase, Phases

STRUCTURE = Phase("structure", 100)
LIGHT = Phase("light", 1000, minutes=10)


def test_time_left_is_by_speed_by_minutes_or_unknown():
    assert STRUCTURE.seconds_left is None
    assert LIGHT.seconds_left == 600
    assert Phase("a", 100, step=25, seconds=10).seconds_left == pytest.approx(30)
    # A quarter of the minutes are over: three are left, however slow the steps were.
    assert Phase("a", 10**6, 4, step=3, seconds=60).seconds_left == pytest.approx(180)
    # Steps end it sooner than minutes.
    assert Phase("a", 10, 100, step=5, seconds=60).seconds_left == pytest.approx(60)
    assert Phase("a", 10, done=True).seconds_left == 0
    assert Phase("a", 10, step=10, seconds=1).seconds_left == 0


def test_a_run_s_time_is_that_of_all_phases_together():
    run = Phases([STRUCTURE, LIGHT])
    assert run.unknown == ("structure",)
    assert run.left() == "10 min 00 s left, structure not counted"
    run.begin("structure", step=0, steps=100, minutes=0)
    run.advance("structure", step=50, seconds=100)
    assert run.seconds_left == pytest.approx(700)
    assert run.left() == "11 min 40 s left"
    assert run.share == pytest.approx(100 / 800)
    run.begin("light", step=0, steps=1000, minutes=10)
    assert run.seconds_left == pytest.approx(600)
    run.advance("light", step=500, seconds=60)
    assert run.seconds_left == pytest.approx(60)


def test_nothing_known_is_said():
    assert Phases([STRUCTURE]).left() == "time left not known yet for structure"


def test_the_share_never_falls_and_ends_at_one():
    run = Phases([STRUCTURE, LIGHT])
    shares = [run.share]
    for phase in (STRUCTURE, LIGHT):
        run.begin(phase.name, step=0, steps=phase.steps, minutes=phase.minutes)
        for step in range(0, phase.steps + 1, phase.steps // 10):
            run.advance(phase.name, step=step, seconds=0.05 * step)
            shares.append(run.share)
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(1)


def test_a_phase_that_nobody_planned_counts_too():
    run = Phases()
    run.begin("light", step=3, steps=10, minutes=0)
    run.advance("light", step=5, seconds=5)
    assert run.seconds_left == pytest.approx(5)
