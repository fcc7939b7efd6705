"""Durations, written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magenet_batch.duration import duration, seconds_of
from magenet_batch.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("24h", 86_400), ("90min", 5400), ("1.5 d", 129_600), ("30S", 30), (" 2 m ", 120)],
)
def test_durations_are_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "24", "h", "0h", "-1h", "1 week", "1h30", "nan h"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UsageError, match="is not a duration"):
        seconds_of(text)


@given(st.integers(1, 3599))
def test_what_is_read_can_be_written(seconds):
    found = duration(seconds_of(f"{seconds} s"))
    minutes, rest = divmod(seconds, 60)
    assert found == (f"{minutes} min {rest:02d} s" if minutes else f"{rest} s")
