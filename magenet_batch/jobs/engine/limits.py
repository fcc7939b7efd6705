"""Limits of an archive job: retries and timeouts."""

from __future__ import annotations

# Retries: how many times something is tried before it is abandoned.
SHARD_TRIES = 2
"""Tries of a whole shard whose worker died; after that it is cut into halves."""
IMAGE_TRIES = 3
"""Tries of a single image whose worker died; after that it gets a row with reason `crash`."""
START_DEATHS = 3
"""Number of workers in a row that may die before they are ready; after that the job fails."""
DEATHS_IN_A_ROW = 60
"""Number of workers that may die without a finished shard in between; after that the job fails."""
IMAGE_TIMEOUT_S = 1800.0
"""A worker that finishes no image for this long is killed, and the image is blamed."""
START_TIMEOUT_S = 900.0
"""Without a single ready worker for this long, the job fails."""
