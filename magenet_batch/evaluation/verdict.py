"""What an evaluation says in a few true sentences: is it better than doing nothing?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from magenet_batch.evaluation.methods import OURS
from magenet_batch.evaluation.table import Mean, Table, paired_mean

_NOTHING = "identity"
_SAME = 48.1
"""Decibel at which two images differ by one grey level: the clean image stayed as it is."""
_KEPT = 0.97
"""Share of a lesion's contrast in the degraded image below which it is said to fade."""


@dataclass(frozen=True)
class Verdict:
    """What was found.

    Attributes:
        headline: a few words.
        sentence: with numbers, and on how many images.
        losses: where it does worse than doing nothing or than another method; one sentence each.
    """

    headline: str
    sentence: str
    losses: tuple[str, ...]

    def markdown(self) -> str:
        """As the first lines of a Markdown page."""
        said = "\n".join(f"- {loss}" for loss in self.losses)
        return f"**{self.headline}** {self.sentence}\n\nWhere it loses:\n\n{said}\n"


def verdict(table: Table) -> Verdict:
    """Judge the weights against doing nothing.

    Args:
        table: all measurements.
    """
    presets = table.column("preset", part="synthetic")
    main = _main_preset(presets)
    if main is None:
        headline, sentence = _without_clean(table)
    else:
        headline, sentence = _against_nothing(table, main)
    losses = [*_losing_presets(table, presets), *_rivals_ahead(table, main), *_vessels_lost(table),
              *_lesions_faded(table), *_real_losses(table)]  # fmt: skip
    return Verdict(headline, sentence, tuple(losses) or ("Nowhere that was measured.",))


def _main_preset(presets: list[str]) -> str | None:
    """The preset that the headline is about: the broadest of those that were measured."""
    damaged = [name for name in presets if name != "clean"]
    return "evaluation" if "evaluation" in damaged else next(iter(damaged), None)


def _against_nothing(table: Table, preset: str) -> tuple[str, str]:
    where = {"part": "synthetic", "preset": preset, "measure": "psnr"}
    ours, nothing = (table.values(method=m, **where) for m in (OURS, _NOTHING))
    gains = [ours[image] - nothing[image] for image in ours if image in nothing]
    gain = paired_mean(table, OURS, _NOTHING, **where)
    if gain is None:
        return "Nothing was measured.", ""
    if gain.low is None or gain.high is None:
        word = "Closer to" if gain.value > 0 else "Further from" if gain.value < 0 else "As near"
        return (
            "One image is no evidence.",
            f"{word} the clean image {'than' if gain.value else 'as'} doing nothing by "
            f"{abs(gain.value):.2f} dB (PSNR), on 1 image ({preset}).",
        )
    better, worse = sum(g > 0 for g in gains), sum(g < 0 for g in gains)
    headline = (
        "Better than doing nothing." if gain.low > 0
        else "Worse than doing nothing." if gain.high < 0
        else "Not shown to be better than doing nothing."
    )  # fmt: skip
    return headline, (
        f"{gain.value:+.2f} dB (PSNR against the clean image; 95 % interval {gain.low:+.2f} to "
        f"{gain.high:+.2f}) on {gain.count} images ({preset}): {better} closer to the clean image "
        f"than before, {worse} further from it."
    )


def _without_clean(table: Table) -> tuple[str, str]:
    """What can be said without clean images: quality without a reference, and fidelity."""
    sentences = []
    for name in table.column("preset", part="real"):
        where = {"part": "real", "preset": name}
        rose = _rose(table, measure="sharpness", **where)
        if rose is not None:
            sentences.append(f"{name}: sharper in {rose[0]} of {rose[1]} images.")
    return (
        "Whether it is better cannot be said without clean images.",
        " ".join(sentences) or "Give --clean for a verdict.",
    )


def _rose(table: Table, **where: str) -> tuple[int, int] | None:
    ours, nothing = (table.values(method=m, **where) for m in (OURS, _NOTHING))
    both = [image for image in ours if image in nothing]
    return (sum(ours[i] > nothing[i] for i in both), len(both)) if both else None


def _on(count: int) -> str:
    return f"{count} image" if count == 1 else f"{count} images"


def _losing_presets(table: Table, presets: list[str]) -> list[str]:
    """Degradations on which doing nothing is closer to the clean image, worst first."""
    found: list[tuple[float, str]] = []
    for name in presets:
        where = {"part": "synthetic", "preset": name, "measure": "psnr"}
        gain = paired_mean(table, OURS, _NOTHING, **where)
        ours = table.mean(method=OURS, **where)
        if gain is None or ours is None or gain.value >= 0:
            continue
        if name == "clean":
            if ours.value >= _SAME:
                continue
            text = f"Clean images do not stay as they are: {ours.value:.1f} dB from themselves"
        else:
            text = f"{name.removeprefix('evaluation:')}: {gain.value:+.2f} dB against doing nothing"
        found.append((gain.value, f"{text}, on {_on(gain.count)}."))
    return [text for _, text in sorted(found)]


def _rivals_ahead(table: Table, preset: str | None) -> list[str]:
    if preset is None:
        return []
    where = {"part": "synthetic", "preset": preset, "measure": "psnr"}
    rivals = [m for m in table.column("method", part="synthetic") if m not in (OURS, _NOTHING)]
    behind = [(m, paired_mean(table, m, OURS, **where)) for m in rivals]
    return [
        f"{method} is closer to the clean image by {ahead.value:.2f} dB, on {_on(ahead.count)}."
        for method, ahead in behind
        if ahead is not None and ahead.value > 0
    ]


def _vessels_lost(table: Table) -> list[str]:
    said = []
    for name in table.column("preset", part="vessels"):
        where = {"part": "vessels", "preset": name, "measure": "auc"}
        gain = paired_mean(table, OURS, _NOTHING, **where)
        if gain is not None and gain.value < 0:
            said.append(
                f"Vessels are found worse than without enhancement ({name}): AUC "
                f"{gain.value:+.4f}, on {_on(gain.count)}."
            )
    return said


def _lesions_faded(table: Table) -> list[str]:
    said = []
    for name in table.column("preset", part="lesions"):
        where = {"part": "lesions", "preset": name, "measure": "contrast"}
        ours, nothing = (table.values(method=m, **where) for m in (OURS, _NOTHING))
        kept = [ours[i] / nothing[i] for i in ours if nothing.get(i)]
        faded = sum(share < _KEPT for share in kept)
        if kept and np.median(kept) < 1:
            said.append(
                f"Lesions lose contrast ({name}): {float(np.median(kept)):.2f} of what the input "
                f"has, in the median; below {_KEPT} in {faded} of {_on(len(kept))}."
            )
    return said


def _real_losses(table: Table) -> list[str]:
    """Real images on which measured sharpness or contrast fell."""
    said = []
    for name in table.column("preset", part="real"):
        for measure in ("sharpness", "contrast"):
            rose = _rose(table, part="real", preset=name, measure=measure)
            if rose is not None and rose[0] < rose[1] / 2:
                said.append(f"{name}: {measure} rose in only {rose[0]} of {_on(rose[1])}.")
    return said


def interval(mean: Mean | None, digits: int) -> str:
    """A difference with its interval; without one where a single image was measured."""
    if mean is None:
        return "-"
    if mean.low is None or mean.high is None:
        return f"{mean.value:+.{digits}f} (1 image)"
    return f"{mean.value:+.{digits}f} [{mean.low:+.{digits}f}, {mean.high:+.{digits}f}]"
