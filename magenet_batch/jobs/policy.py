"""What is delivered, and what is flagged: every threshold of these decisions.

Good photographs are left as they are, hopeless ones are reported and not prettified, and what lost
or gained anatomy is not delivered. The values are written into every row.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from magenet_batch.errors import UsageError, nearest
from magenet_batch.quality.fidelity import LIMITS
from magenet_batch.records.schema import Row
from magenet_batch.records.vocabulary import KeptReason


@dataclass(frozen=True)
class Policy:
    """What is delivered. A threshold that is None is never reached.

    Attributes:
        name: of the policy that it comes from.
        good: an image with at least this probability of good is kept as it is.
        reject: one with at least this probability of reject is only reported.
        fidelity: an enhanced image with less is not delivered; its original is, as kept ones are.
    """

    name: str
    good: float | None
    reject: float | None
    fidelity: float | None

    def record(self) -> str:
        """The policy as compact JSON, as rows have it."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def before(self, row: Row) -> KeptReason | None:
        """Why an image is not to be enhanced, by its grade before; None where it is."""
        good, reject = row.get("good_before"), row.get("reject_before")
        if self.good is not None and good is not None and good >= self.good:
            return "good"
        if self.reject is not None and reject is not None and reject >= self.reject:
            return "reject"
        return None

    def after(self, row: Row) -> KeptReason | None:
        """Why an enhanced image is not to be delivered; None where it is."""
        fidelity = row.get("fidelity")
        if self.fidelity is not None and fidelity is not None and fidelity < self.fidelity:
            return "low_fidelity"
        return None


POLICIES: dict[str, Policy] = {
    "standard": Policy("standard", good=0.5, reject=0.9, fidelity=0.2),
    "cautious": Policy("cautious", good=0.3, reject=0.3, fidelity=0.5),
    "all": Policy("all", good=None, reject=None, fidelity=None),
}
"""`standard`: what is more likely good than not is kept, what is almost surely hopeless is
reported (the grader rejects too readily where it has not been fitted: docs/quality.md); a fidelity
of 0.2 means twice the limit of some measure. `cautious` enhances only what is clearly usable, and
delivers nothing that is over a limit. `all` enhances and delivers everything."""


def choose_policy(name: str, changes: tuple[str, ...] = ()) -> Policy:
    """A policy by name, with some thresholds changed.

    Args:
        name: one of `POLICIES`.
        changes: such as `fidelity=0.5` or `good=off`.

    Raises:
        UsageError: there is no such policy or threshold, or its value is not 0..1 or `off`.
    """
    if name not in POLICIES:
        raise UsageError(f"no policy is called '{name}'; {nearest(name, POLICIES)}")
    policy = POLICIES[name]
    for change in changes:
        key, equals, text = change.partition("=")
        if key not in ("good", "reject", "fidelity") or not equals:
            known = nearest(key, ("good", "reject", "fidelity"))
            raise UsageError(
                f"--policy-set {change}: write it as THRESHOLD=VALUE, such as fidelity=0.5; {known}"
            )
        value = _threshold(change, text)
        if key == "good":
            policy = replace(policy, good=value)
        elif key == "reject":
            policy = replace(policy, reject=value)
        else:
            policy = replace(policy, fidelity=value)
    return policy


def _threshold(change: str, text: str) -> float | None:
    if text == "off":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"--policy-set {change}: give a number from 0 to 1, or off")
    return value


FLAGS: dict[str, tuple[str, ...]] = {
    "new_vessels": ("vessel_new", "vessel_new_longest"),
    "lost_vessels": ("vessel_lost", "vessel_lost_longest"),
    "new_lesion": ("lesion_new",),
    "lost_lesion": ("lesion_lost",),
    "colour_shift": ("colour_shift",),
}
"""Flag -> the measures of which one is above its limit in `quality.fidelity.LIMITS`."""
LOW_AGREEMENT_BELOW = 1 - LIMITS["disagreement"]
"""`low_agreement`: the vessel maps before and after overlap less than this (soft Dice)."""


def flags_for(row: Row) -> list[str]:
    """Say what a reviewer should look at.

    Args:
        row: a row with its fidelity measures; missing or null ones raise no flag.

    Returns:
        Flag names in a fixed order, empty when nothing stands out.
    """

    def above(name: str) -> bool:
        found = row.get(name)
        return found is not None and float(found) > LIMITS[name]

    flags = [flag for flag, names in FLAGS.items() if any(above(name) for name in names)]
    agreement = row.get("structure_agreement")
    if agreement is not None and float(agreement) < LOW_AGREEMENT_BELOW:
        flags.append("low_agreement")
    return flags
