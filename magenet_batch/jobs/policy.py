"""Every threshold and limit of an archive job, in one place."""

from __future__ import annotations

from magenet_batch.schema import Row

# Flags: what a reviewer should look at. A measure that is null raises no flag.
NEW_VESSELS_ABOVE = 0.15
"""`new_vessels`: more than this share of the vessel length was not there before."""
LOST_VESSELS_ABOVE = 0.15
"""`lost_vessels`: more than this share of the vessel length is gone."""
COLOUR_SHIFT_ABOVE = 15.0
"""`colour_shift`: the slow colours moved by more than this (CIE76 dE; 2.3 is just visible)."""
LOW_AGREEMENT_BELOW = 0.6
"""`low_agreement`: the vessel maps before and after overlap less than this (soft Dice)."""

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
# a million images do not give a million files.
SHARDS_WANTED = 32
SHARD_MIN, SHARD_MAX = 2, 64
SHARD_FILES_MAX = 20_000


def shard_size_for(images: int) -> int:
    """Choose how many images make a shard; depends on the plan only, never on the workers.

    Args:
        images: number of images in the plan.

    Returns:
        Images per shard, at least 1.
    """
    usual = min(SHARD_MAX, max(SHARD_MIN, -(-images // SHARDS_WANTED)))
    return max(usual, -(-images // SHARD_FILES_MAX))


def flags_for(row: Row) -> list[str]:
    """Say what a reviewer should look at.

    Args:
        row: a row with its fidelity measures; missing or null ones raise no flag.

    Returns:
        Flag names in a fixed order, empty when nothing stands out.
    """

    def value(name: str, default: float) -> float:
        found = row.get(name)
        return default if found is None else float(found)

    checks = {
        "new_vessels": value("vessel_new", 0.0) > NEW_VESSELS_ABOVE,
        "lost_vessels": value("vessel_lost", 0.0) > LOST_VESSELS_ABOVE,
        "colour_shift": value("colour_shift", 0.0) > COLOUR_SHIFT_ABOVE,
        "low_agreement": value("structure_agreement", 1.0) < LOW_AGREEMENT_BELOW,
    }
    return [name for name, raised in checks.items() if raised]
