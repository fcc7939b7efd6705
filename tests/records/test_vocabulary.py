"""What was wrong with an image, in words."""

import pytest

from magenet_batch.records.schema import COLUMN_NAMES, ESTIMATES
from magenet_batch.records.vocabulary import faults_in_words


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, ""),
        ({"estimated_blur": None, "estimated_veil": 0.01}, ""),
        ({"estimated_blur": 2.0}, "soft focus"),
        ({"estimated_blur": 9.0}, "strong blur"),
        ({"estimated_blur": 2.0, "estimated_veil": 0.2}, "soft focus and a veil"),
        (
            {"estimated_blur": 2.0, "estimated_noise": 1.5, "estimated_veil": 0.6},
            "soft focus, noise and a dense veil",
        ),
        ({"estimated_spots": 0.0004}, ""),
        ({"estimated_spots": 0.001}, "dust or droplets"),
        ({"estimated_veil": 0.2, "estimated_spots": 0.05}, "a veil and much dust or droplets"),
    ],
)
def test_faults_are_named_strongest_word_first(row: dict[str, float], words: str):
    assert faults_in_words(row) == words


def test_every_estimate_is_a_column():
    assert set(ESTIMATES) <= set(COLUMN_NAMES)
