"""The delivery policy and the flags: every threshold of these decisions.

Nothing that became worse is delivered: good photographs stay as they are, unusable ones are
reported instead of embellished, and an enhanced image is withheld if it lost or invented anatomy,
lost contrast or grade, or went dark in a part. The thresholds are written into every row; the
limits of measures are in `quality.limits`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace

from magenet_batch.errors import UsageError, nearest
from magenet_batch.quality.limits import LEAST, LEAST_SEEN, LIMITS, MOST
from magenet_batch.records.schema import Row
from magenet_batch.records.vocabulary import GRADES, KeptReason, WithheldReason


@dataclass(frozen=True)
class Policy:
    """Thresholds of delivery. A threshold that is None is never reached.

    Attributes:
        name: name of the policy that it is based on.
        good: minimum probability of good at which an image is delivered as it came.
        reject: minimum probability of reject at which an image is only reported.
        seen: minimum visibility of vessels; images below it are hopeless and only reported.
        fidelity: minimum fidelity of a delivered image.
        invented: maximum contrast of structure that is not in the original.
        contrast: minimum share of the vessels' contrast that must remain.
        area: the same for the dark or bright area that lost most contrast.
        macula: the same for the macula.
        dark: maximum share of the field of view that went dark.
        grade: maximum number of steps by which the grade may fall.
        visible: minimum mean change of pixel values, 0..1; below it the original is delivered,
            unless vessels gained contrast or the grade rose clearly. Above it the original is
            delivered only if the grader prefers it too. None delivers whatever was gained.
    """

    name: str
    good: float | None
    reject: float | None
    seen: float | None
    fidelity: float | None
    invented: float | None
    contrast: float | None
    area: float | None
    macula: float | None
    dark: float | None
    grade: float | None
    visible: float | None

    def record(self) -> str:
        """The policy as compact JSON, as rows have it."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @property
    def withholds(self) -> bool:
        """Whether an enhanced image can be withheld."""
        judged = (
            self.fidelity, self.invented, self.contrast, self.area, self.macula, self.dark,
            self.grade,
        )  # fmt: skip
        return any(threshold is not None for threshold in judged)

    def before(self, row: Row) -> KeptReason | WithheldReason | None:
        """Why an image is not to be enhanced, from measures of the original; None if it is."""
        if _below(row.get("vessels_seen"), self.seen):
            return "hopeless"
        if _reached(row.get("good_before"), self.good):
            return "good"
        if _reached(row.get("reject_before"), self.reject):
            return "reject"
        return None

    def after(self, row: Row) -> KeptReason | WithheldReason | None:
        """Why an enhanced image is not to be delivered; None if it is."""
        judged: tuple[tuple[WithheldReason, str, float | None], ...] = (
            ("low_fidelity", "fidelity", self.fidelity),
            ("contrast_fell", "vessel_contrast", self.contrast),
            ("lesion_faded", "area_contrast", self.area),
            ("macula_faded", "macula_contrast", self.macula),
        )
        for reason, measure, least in judged:
            if _below(row.get(measure), least):
                return reason
        if _above(row.get("new_structure"), self.invented):
            return "invented"
        if _above(row.get("darkened"), self.dark):
            return "darkened"
        fell = grades_lost(row)
        if self.grade is not None and fell is not None and fell > self.grade:
            return "grade_fell"
        if self.visible is not None and not _gained(row):
            if _below(row.get("change"), self.visible):
                return "unchanged"
            if _grader_prefers_original(row):
                return "no_gain"
        return None


def _gained(row: Row) -> bool:
    """Whether vessels show better, or the grade rose by more than a hair."""
    return _reached(row.get("vessel_contrast"), GAINED) or _rose(row)


def _rose(row: Row) -> bool:
    good, reject = (_rise(row, grade) or 0.0 for grade in ("good", "reject"))
    return (grades_lost(row) or 0) < 0 and max(good, -reject) >= RISEN


def _grader_prefers_original(row: Row) -> bool:
    """Whether P(good) - P(reject) fell, however little."""
    good, reject = (_rise(row, grade) for grade in ("good", "reject"))
    return good is not None and reject is not None and good < reject


def _rise(row: Row, grade: str) -> float | None:
    """By how much the probability of a grade rose; None without both probabilities."""
    before, after = (row.get(f"{grade}_{when}") for when in ("before", "after"))
    return None if before is None or after is None else float(after) - float(before)


def _reached(value: float | None, least: float | None) -> bool:
    return value is not None and least is not None and value >= least


def _below(value: float | None, least: float | None) -> bool:
    return value is not None and least is not None and value < least


def _above(value: float | None, most: float | None) -> bool:
    return value is not None and most is not None and value > most


def grades_lost(row: Row) -> int | None:
    """Number of steps by which the grade fell, negative if it rose; None without both grades."""
    before, after = row.get("grade_before"), row.get("grade_after")
    if before not in GRADES or after not in GRADES:
        return None
    return GRADES.index(after) - GRADES.index(before)


GAINED = 1.05
"""Contrast of vessels, after over before, from which an enhanced image counts as a gain: of well
visible patterns, people tell differences of 5 to 10 per cent (Legge, Vision Research 21, 1981)."""
RISEN = 0.1
"""Rise of P(good), or fall of P(reject), from which a higher grade counts as a gain: the grader has
steps, and a change that nobody sees can carry an image that is nearly good over one."""
VISIBLE = 0.008
"""Mean change of pixel values, two grey levels of 255, below which two images look the same."""
_KEPT_CONTRASTS = {
    "contrast": LEAST["vessel_contrast"],
    "area": LEAST["area_contrast"],
    "macula": LEAST["macula_contrast"],
}
POLICIES: dict[str, Policy] = {
    "standard": Policy(
        "standard", good=0.5, reject=0.9, seen=LEAST_SEEN, fidelity=0.5,
        invented=MOST["new_structure"], **_KEPT_CONTRASTS, dark=MOST["darkened"],
        grade=0.0, visible=VISIBLE,
    ),
    "cautious": Policy(
        "cautious", good=0.3, reject=0.3, seen=LEAST_SEEN, fidelity=0.65,
        invented=MOST["new_structure"], **_KEPT_CONTRASTS, dark=MOST["darkened"],
        grade=0.0, visible=VISIBLE,
    ),
    "all": Policy(
        "all", good=None, reject=None, seen=LEAST_SEEN, fidelity=None,
        invented=MOST["new_structure"], contrast=None, area=LEAST["area_contrast"], macula=None,
        dark=None, grade=None, visible=None,
    ),
}  # fmt: skip
"""`standard`: images that are more likely good than not are kept, and those that are almost
certainly hopeless are reported (the grader rejects too readily outside the data that it was fitted
on: docs/quality.md); a fidelity of 0.5 corresponds to the limit of some measure. `cautious`
enhances only what is clearly usable, and delivers nothing that is close to a limit. `all` enhances
and delivers everything whatever its grade and fidelity, but withholds painted surfaces and faded
lesions, as every policy does by default."""
THRESHOLDS = tuple(field.name for field in fields(Policy) if field.name != "name")
"""What `--policy-set` can change."""


def choose_policy(name: str, changes: tuple[str, ...] = ()) -> Policy:
    """Choose a policy by name, with some thresholds changed.

    Args:
        name: one of `POLICIES`.
        changes: changes such as `fidelity=0.5` or `good=off`.

    Raises:
        UsageError: there is no such policy or threshold, or its value is not 0..1 or `off`.
    """
    if name not in POLICIES:
        raise UsageError(f"No policy is named '{name}': {nearest(name, POLICIES)}.")
    policy = POLICIES[name]
    for change in changes:
        key, equals, text = change.partition("=")
        if key not in THRESHOLDS or not equals:
            raise UsageError(
                f"--policy-set {change}: use the form THRESHOLD=VALUE, such as fidelity=0.5. "
                f"For THRESHOLD, {nearest(key, THRESHOLDS)}."
            )
        policy = replace(policy, **{key: _threshold(change, text)})  # type: ignore[arg-type]
    return policy


def _threshold(change: str, text: str) -> float | None:
    if text == "off":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"--policy-set {change}: give a number from 0 to 1, or off.")
    return value


FLAGS: dict[str, tuple[str, ...]] = {
    "new_vessels": ("vessel_new", "vessel_new_longest"),
    "lost_vessels": ("vessel_lost", "vessel_lost_longest"),
    "new_lesion": ("lesion_new",),
    "lost_lesion": ("lesion_lost",),
    "colour_shift": ("wrong_colour",),
}
"""Measures that raise a flag when one is above its limit in `quality.limits.LIMITS`, by flag."""
FADED: dict[str, str] = {
    "contrast_fell": "vessel_contrast",
    "lesion_faded": "area_contrast",
    "macula_faded": "macula_contrast",
}
"""Measure that raises a flag below its limit in `quality.limits.LEAST`, by flag."""
LOW_AGREEMENT_BELOW = 1 - LIMITS["disagreement"]
"""`low_agreement`: the vessel maps before and after overlap less than this (soft Dice)."""


def flags_for(row: Row) -> list[str]:
    """Flags that tell a reviewer what to look at.

    Args:
        row: a row with its fidelity measures and grades; missing or null ones raise no flag.

    Returns:
        Names of flags in a fixed order; empty if nothing stands out.
    """

    def above(name: str) -> bool:
        found = row.get(name)
        return found is not None and float(found) > LIMITS[name]

    flags = [flag for flag, names in FLAGS.items() if any(above(name) for name in names)]
    if _below(row.get("structure_agreement"), LOW_AGREEMENT_BELOW):
        flags.append("low_agreement")
    if _above(row.get("new_structure"), MOST["new_structure"]):
        flags.append("invented")
    flags += [flag for flag, name in FADED.items() if _below(row.get(name), LEAST[name])]
    if _above(row.get("darkened"), MOST["darkened"]):
        flags.append("darkened")
    if (grades_lost(row) or 0) > 0:
        flags.append("grade_fell")
    return flags
