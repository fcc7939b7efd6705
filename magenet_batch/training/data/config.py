"""Configuration of the training data."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator


class DataConfig(BaseModel):
    """Location of the training images.

    Folders are relative to `root` and include their subfolders. Instead of a folder, `phantom:N`
    stands for N procedural phantoms, and `sharpest:S` for the sharpest share S of the images of
    `real`, so that an archive without labels can supply its own ground truth.

    Attributes:
        root: folder of all data sets, relative to the working directory.
        clean: folders of sharp images, ground truth for synthetic degradation.
        real: folders of real low-quality images, without labels, for the consistency loss.
        vessels: folders with `images` and `masks`, for the structure module.
        validation: folders of sharp images that are never trained on.
        exclude: images that are not used, each as `folder/name`.
        unevenly_lit: images that are sharp but unsuitable as ground truth for light, each as
            `folder/name`.
        size: side in pixels of the squares around the field of view in which images are stored.
        limit: maximum number of images per folder, evenly spaced; 0 for all.
        attribution: sources and licences of the images, for the model card.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    root: str = "../shared/data"
    clean: tuple[str, ...] = ()
    real: tuple[str, ...] = ()
    vessels: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    unevenly_lit: tuple[str, ...] = ()
    size: int = Field(default=512, ge=64, le=2048)
    limit: int = Field(default=0, ge=0)
    attribution: tuple[str, ...] = ()

    @field_validator("clean", "real", "vessels", "validation", mode="before")
    @classmethod
    def _one_folder(cls, value: Any) -> Any:
        """Accept a single folder without brackets; validation checks the rest."""
        if isinstance(value, str):
            return (value,)
        return tuple(value) if isinstance(value, list) else value


class AugmentConfig(BaseModel):
    """Range of the variations of clean images before they are degraded.

    Attributes:
        rotate: maximum rotation, degrees.
        zoom: range of magnification.
        shift: maximum shift, fraction of the size.
        gain: maximum factor on a single channel is `1 + gain`, the minimum its inverse.
        gamma: maximum exponent is `1 + gamma`, the minimum its inverse.
        saturation: factor between `1 - saturation` and `1 + saturation`.
        colour_share: share of images whose colours are varied; the others keep those of a real
            camera.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    rotate: float = Field(default=180.0, ge=0, le=180)
    zoom: tuple[float, float] = (0.9, 1.6)
    shift: float = Field(default=0.08, ge=0, le=0.5)
    gain: float = Field(default=0.12, ge=0)
    gamma: float = Field(default=0.2, ge=0)
    saturation: float = Field(default=0.2, ge=0, lt=1)
    colour_share: float = Field(default=0.5, ge=0, le=1)
