"""Hours, machines and cost from a rate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from magenet_batch.errors import UsageError
from magenet_batch.jobs.capacity.forecast import Forecast
from magenet_batch.jobs.capacity.measure import Measured

MEASURED = Measured(
    images=48, failed=0, images_per_second=2.0, spread=0.05, start_seconds=10.0,
    bytes_per_image=1e6,
)  # fmt: skip
FORECAST = Forecast(
    images=72_000, bytes=0, measured=MEASURED, allocation="2 workers", deadline=None, price=None,
    most_machines=1000,
)  # fmt: skip


def test_one_machine_needs_images_over_rate_and_its_start():
    assert FORECAST.seconds(1) == 36_010
    assert FORECAST.machines == 1
    assert "10 h 00 min" in FORECAST.text()
    assert "72.0 GB" in FORECAST.text()


def test_a_deadline_leaves_room_for_an_easy_sample():
    # 36,000 s of work, 10 % more within two standard errors: 11 machines, where 10 would just do.
    assert replace(FORECAST, deadline=3610.0).machines == 11
    sure = replace(FORECAST, measured=replace(MEASURED, spread=0.0), deadline=3610.0)
    assert sure.machines == 10
    assert sure.seconds(10) == 3610
    assert "--part I/10" in sure.text()


def test_every_machine_pays_for_its_own_start():
    found = replace(
        FORECAST, measured=replace(MEASURED, spread=0.0), deadline=3610.0, price=0.5
    ).as_json()
    assert found["machine_hours"] == pytest.approx(10 * 3610 / 3600)
    assert found["cost"] == pytest.approx(0.5 * 10 * 3610 / 3600)
    assert found["output_bytes"] == 72_000 * 10**6


@pytest.mark.parametrize("deadline", [5.0, 40.0])
def test_a_deadline_that_no_machines_meet_is_refused(deadline):
    with pytest.raises(UsageError, match=r"1000 shards.*later --deadline"):
        replace(FORECAST, deadline=deadline).text()
