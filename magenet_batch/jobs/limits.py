"""Limits of an archive job: retries, times, and the size of shards."""

from __future__ import annotations

# Retries: how often something is tried before it is given up.
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

# Shards: small enough that little is redone and all workers finish together, large enough that
# the rows of a million images are read in seconds: one file per shard.
SHARDS_WANTED = 32
SHARD_MIN, SHARD_MAX = 2, 64
SHARD_FILES_WANTED, SHARD_FILES_MAX = 4_000, 20_000
LARGE_SHARD_MAX = 500


def shard_size_for(images: int) -> int:
    """Choose how many images make a shard; depends on the plan only, never on the workers.

    Args:
        images: number of images in the plan.

    Returns:
        Images per shard, at least 1.
    """
    usual = min(SHARD_MAX, max(SHARD_MIN, -(-images // SHARDS_WANTED)))
    large = min(LARGE_SHARD_MAX, -(-images // SHARD_FILES_WANTED))
    return max(usual, large, -(-images // SHARD_FILES_MAX))
