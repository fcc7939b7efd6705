"""Limits of an archive job: retries and times."""

from __future__ import annotations

# Retries: how often something is tried before it is abandoned.
SHARD_TRIES = 2
"""A shard whose worker died is tried once more as a whole, then cut into halves."""
IMAGE_TRIES = 3
"""A single image whose worker died is tried this often, then gets a row with reason `crash`."""
START_DEATHS = 3
"""So many workers in a row may die before they are ready; then the job fails."""
DEATHS_IN_A_ROW = 60
"""So many workers may die without any shard done in between; then the job fails."""
IMAGE_TIMEOUT_S = 1800.0
"""A worker that finishes no image for so long is killed; the image is blamed for it."""
START_TIMEOUT_S = 900.0
"""Without a single worker ready after so long, the job fails."""
