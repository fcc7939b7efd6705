"""The Python API: enhance or assess one image, with the same code that a job uses.

`from magenet_batch import enhance, assess, Enhancer, read_image` loads this module. Torch is
imported with the first enhancer; `assess` never needs it.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from magenet_batch.imaging.arrays import given_image
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.imaging.read import FundusImage, read_image
from magenet_batch.jobs.policy import choose_policy
from magenet_batch.jobs.work.measuring import (
    LEAST_TO_MEASURE,
    fov_of,
    measure_before,
    measure_change,
)
from magenet_batch.models.catalog import shipped_names
from magenet_batch.quality.lettering import letters_outside
from magenet_batch.quality.recognition import recognise
from magenet_batch.records.schema import ESTIMATES, FIDELITY_MEASURES, QUALITY_MEASURES, Row
from magenet_batch.records.vocabulary import GRADES, KeptReason, WithheldReason, faults_in_words
from magenet_batch.settings import DEFAULT_WEIGHTS, Look

if TYPE_CHECKING:
    from magenet_batch.imaging.arrays import ImageInput

__all__ = ["EnhancedImage", "Enhancer", "FundusImage", "Quality", "assess", "enhance", "read_image"]

_SHOWN_HEIGHT = 360  # height of the images shown in a notebook, pixels


@dataclass(frozen=True)
class Quality:
    """Grade and quality measures of one image.

    Attributes:
        grade: `good`, `usable` or `reject`; None if the field of view is too small to grade.
        probabilities: probability of each grade, 0..1; None where there is no grade.
        measures: value of each measure by name; None where it is undefined.
            `magenet_batch.records.schema.QUALITY_MEASURES` states the unit and meaning of each.
        fov: the field of view, in pixels of the image.
        burned_in_text: number of marks like letters outside the field of view, which may name the
            patient; None if it leaves no border. Enhancing does not change them.
    """

    grade: str | None
    probabilities: Mapping[str, float | None]
    measures: Mapping[str, float | None]
    fov: FieldOfView = field(repr=False)
    burned_in_text: int | None = None

    def __repr__(self) -> str:
        chance = self.probabilities.get(self.grade or "")
        sure = "" if chance is None else f" ({chance:.0%})"
        named = ", ".join(f"{k}={_short(v)}" for k, v in self.measures.items())
        text = f"; {self.burned_in_text} marks like letters" if self.burned_in_text else ""
        return f"Quality({self.grade or 'no grade'}{sure}; {named}{text})"


@dataclass(frozen=True)
class EnhancedImage:
    """An enhanced image, with everything that was measured before and after.

    Attributes:
        image: the enhanced image, same shape and dtype as the input.
        original: the input image, (H, W) or (H, W, 3), as given or as read from the file.
        before: grade and measures of the original.
        after: grade and measures of the enhanced image.
        estimates: what the network found wrong, by name: blur, noise, compression, veil,
            unevenness, spots. Empty for networks that do not estimate; `units` has the units.
        fidelity: how well the anatomy was preserved, 0..1; None for networks without a structure
            module.
        fidelity_measures: the measures that `fidelity` combines, by name.
        flags: what a reviewer should check; empty if nothing stands out.
        kept: why a job with the policy `standard` would deliver the original instead, such as
            `good`, `hopeless` or `contrast_fell`; None if it would deliver `image`.
        weights: name of the weights.
        weights_hash: first 16 hexadecimal digits of the SHA-256 of the weights file.
    """

    image: np.ndarray
    original: np.ndarray
    before: Quality
    after: Quality
    estimates: Mapping[str, float]
    fidelity: float | None
    fidelity_measures: Mapping[str, float | None]
    flags: tuple[str, ...]
    kept: KeptReason | WithheldReason | None
    weights: str
    weights_hash: str

    @property
    def grade_before(self) -> str | None:
        """Grade of the original."""
        return self.before.grade

    @property
    def grade_after(self) -> str | None:
        """Grade of the enhanced image."""
        return self.after.grade

    @property
    def burned_in_text(self) -> int | None:
        """Number of marks like letters outside the field of view; None without a border."""
        return self.before.burned_in_text

    @property
    def units(self) -> dict[str, str]:
        """Unit or range of each estimate, by name."""
        return {name: _unit(name) for name in self.estimates}

    @property
    def faults(self) -> str:
        """What was wrong, in words, such as "soft focus and a veil"; empty if nothing was."""
        return faults_in_words({f"estimated_{k}": v for k, v in self.estimates.items()})

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        lines = [
            f"EnhancedImage({width} x {height} {self.image.dtype}, weights {self.weights})",
            f"  grade: {self.grade_before or 'none'} -> {self.grade_after or 'none'}",
            f"  fidelity: {_short(self.fidelity)}",
        ]
        if self.estimates:
            found = (f"{k} {_short(v)} ({_unit(k)})" for k, v in self.estimates.items())
            lines.insert(2, f"  estimates: {', '.join(found)}")
        if self.burned_in_text:
            lines.append(f"  text outside the field of view: {self.burned_in_text} marks")
        if self.flags:
            lines.append(f"  flags: {', '.join(self.flags)}")
        if self.kept:
            lines.append(f"  a job would deliver the original: {self.kept}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Show the image before and after, side by side, in a notebook."""
        pictures = "".join(
            f'<figure style="display:inline-block;margin:0 8px 0 0">'
            f'<img alt="{title}" src="data:image/jpeg;base64,{_jpeg(array)}">'
            f"<figcaption>{title}: {html.escape(grade or 'no grade')}</figcaption></figure>"
            for title, array, grade in (
                ("before", self.original, self.grade_before),
                ("after", self.image, self.grade_after),
            )
        )
        return f"<div>{pictures}<pre>{html.escape(repr(self))}</pre></div>"


class Enhancer:
    """A network that is loaded once and enhances many images.

    Args:
        weights: name of shipped weights, or path of a `.safetensors` file.
        device: `cpu`, `cuda`, `cuda:N`, or `auto` (a GPU if there is one).
        look: `natural` restores what was there; `clear` also raises local contrast afterwards.
        blend: weight of the enhanced image in the result, 0..1; the rest is the original.
        threads: number of CPU threads for torch in this process; 0 keeps the current number.

    Raises:
        WeightsError: the weights cannot be loaded.
        UsageError: the device does not exist, or the network does not offer the look.
    """

    def __init__(
        self,
        weights: str = DEFAULT_WEIGHTS,
        *,
        device: str = "auto",
        look: Look = "natural",
        blend: float = 1.0,
        threads: int = 0,
    ) -> None:
        from magenet_batch.inference.enhancer import Enhancer as Network

        self._network = Network.load(
            weights, device=device, threads=threads, blend=blend, look=look
        )
        self._standard = choose_policy("standard")

    @property
    def weights(self) -> str:
        """Name of the weights."""
        return self._network.weights_name

    @property
    def weights_hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the weights file."""
        return self._network.weights_hash

    def __repr__(self) -> str:
        return f"Enhancer({self.weights}, {self.weights_hash})"

    def __call__(self, image: ImageInput) -> EnhancedImage:
        """Enhance one image; the same as `enhance`."""
        return self.enhance(image)

    def enhance(self, image: ImageInput) -> EnhancedImage:
        """Enhance one image, whatever its grade; pixels outside the field of view do not change.

        Args:
            image: a path, a PIL image, the result of `read_image`, or a NumPy array of uint8,
                uint16 or floats in 0..1; grey (H, W) or (H, W, 1), or RGB (H, W, 3).

        Returns:
            The enhanced image and everything that was measured.

        Raises:
            InputError: the input is not an image in one of these forms.
            ImageError: the file cannot be read (see its `reason`), or no field of view was found
                (`no_fov`).
        """
        given = given_image(image)
        fov = fov_of(given.pixels)
        enhanced = self._network.enhance(given.pixels, fov)
        before = _measured(given.pixels, fov)
        row = before | measure_change(
            given.pixels, enhanced, fov, before=before, detector=self._network
        )
        recognised = recognise(given.pixels, fov)
        return EnhancedImage(
            image=given.like_original(enhanced.pixels), original=given.original,
            before=_quality(row, "before", fov), after=_quality(row, "after", fov),
            estimates=_fixed({
                name: row[column] for name, column in _estimate_columns() if column in row
            }),
            fidelity=row.get("fidelity"),
            fidelity_measures=_fixed({name: row.get(name) for name in FIDELITY_MEASURES}),
            flags=(*([recognised] if recognised else []), *row["flags"]),
            kept=recognised or self._standard.before(row) or self._standard.after(row),
            weights=self.weights, weights_hash=self.weights_hash,
        )  # fmt: skip


def enhance(
    image: ImageInput,
    *,
    weights: str = DEFAULT_WEIGHTS,
    device: str = "auto",
    look: Look = "natural",
    blend: float = 1.0,
) -> EnhancedImage:
    """Enhance one image; shipped weights stay loaded for the next call.

    Args:
        image: an image in any form that `Enhancer.enhance` accepts.
        weights: name of shipped weights, or path of a `.safetensors` file.
        device: `cpu`, `cuda`, `cuda:N`, or `auto` (a GPU if there is one).
        look: `natural` restores what was there; `clear` also raises local contrast afterwards.
        blend: weight of the enhanced image in the result, 0..1; the rest is the original.

    Returns:
        The enhanced image and everything that was measured.

    Raises:
        WeightsError: the weights cannot be loaded.
        UsageError: the device does not exist, or the network does not offer the look.
        InputError: the input is not an image in one of the accepted forms.
        ImageError: the file cannot be read, or no field of view was found.
    """
    # A file may change between two calls; shipped weights do not.
    make = _loaded if weights in shipped_names() else _loaded.__wrapped__
    return make(weights, device, look, blend).enhance(image)


def assess(image: ImageInput) -> Quality:
    """Grade and measure one image without a network.

    Args:
        image: an image in any form that `Enhancer.enhance` accepts.

    Returns:
        The grade and measures that `magenet assess` writes into its row.

    Raises:
        InputError: the input is not an image in one of the accepted forms.
        ImageError: the file cannot be read, or no field of view was found.
    """
    pixels = given_image(image, reduced_to=LEAST_TO_MEASURE).pixels
    fov = fov_of(pixels)
    return _quality(_measured(pixels, fov), "before", fov)


@lru_cache(maxsize=2)
def _loaded(weights: str, device: str, look: Look, blend: float) -> Enhancer:
    return Enhancer(weights, device=device, look=look, blend=blend)


def _measured(pixels: np.ndarray, fov: FieldOfView) -> Row:
    return measure_before(pixels, fov) | {"burned_in_text": letters_outside(pixels, fov)}


def _quality(row: Row, when: str, fov: FieldOfView) -> Quality:
    return Quality(
        row[f"grade_{when}"],
        _fixed({grade: row[f"{grade}_{when}"] for grade in GRADES}),
        _fixed({name: row[f"{name}_{when}"] for name in QUALITY_MEASURES}),
        fov,
        row["burned_in_text"],
    )


def _fixed(values: dict[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(values)


def _estimate_columns() -> Iterator[tuple[str, str]]:
    for column in ESTIMATES:
        yield column.removeprefix("estimated_"), column


def _unit(name: str) -> str:
    return ESTIMATES[f"estimated_{name}"][0]


def _short(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:.3g}" if abs(value) >= 0.001 else "0"


def _jpeg(array: np.ndarray) -> str:
    """A small JPEG of an image in any accepted form, base64-encoded."""
    import cv2
    import simplejpeg

    pixels = given_image(array).pixels
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    height, width = pixels.shape[:2]
    if height > _SHOWN_HEIGHT:
        size = (max(1, round(width * _SHOWN_HEIGHT / height)), _SHOWN_HEIGHT)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    coded = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=88)
    return base64.b64encode(coded).decode("ascii")
