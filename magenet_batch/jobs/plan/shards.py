"""The size of shards."""

from __future__ import annotations

# Small enough that little is redone and all workers finish together; large enough that the rows of
# a million images, one file per shard, can be read in seconds.
SHARDS_WANTED = 32
SHARD_MIN, SHARD_MAX = 2, 64
SHARD_FILES_WANTED, SHARD_FILES_MAX = 4_000, 20_000
LARGE_SHARD_MAX = 500


def shard_size_for(images: int) -> int:
    """Number of images per shard; depends only on the plan, never on the workers.

    Args:
        images: number of images in the plan.

    Returns:
        Images per shard, at least 1.
    """
    usual = min(SHARD_MAX, max(SHARD_MIN, -(-images // SHARDS_WANTED)))
    large = min(LARGE_SHARD_MAX, -(-images // SHARD_FILES_WANTED))
    return max(usual, large, -(-images // SHARD_FILES_MAX))
