"""What an archive job can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from magenet_batch.errors import UsageError
from magenet_batch.imaging.metadata import MetadataPolicy
from magenet_batch.imaging.names import OutputFormat
from magenet_batch.jobs.policy import Policy, choose_policy
from magenet_batch.records.part import Part
from magenet_batch.records.schema import ROW_SCHEMA_VERSION
from magenet_batch.settings import DEFAULT_OUT, DEFAULT_WEIGHTS, GreyAction, Look, OriginalAction
from magenet_batch.storage import Location, is_store, location_of


@dataclass(frozen=True)
class ImageOptions:
    """How images are read and written; `JobOptions.image_options` makes it, and has the defaults.

    Attributes:
        quality: JPEG quality of outputs, None for the writer's own.
        resolution: images wider than this are reduced to it, in px; None keeps all as they are.
        output_format: `source` keeps each image's own.
        metadata: what outputs carry over of their sources.
        page: which picture to take from files that hold several; None refuses those.
        policy: what is delivered.
        kept: what becomes of images that are left as they are.
        rejects: the same of those that are beyond help.
        grey: what becomes of grey photographs: `keep` delivers them as they came, `enhance`
            enhances them in grey.
        evidence: whether a picture of what changed is written beside every enhanced image.
        assess: only measure; nothing is enhanced or written.
        look: of enhanced images, for the row; the enhancer knows it too.
    """

    quality: int | None
    resolution: int | None
    output_format: OutputFormat
    metadata: MetadataPolicy
    page: int | None
    policy: Policy
    kept: OriginalAction
    rejects: OriginalAction
    grey: GreyAction
    evidence: bool
    assess: bool
    look: Look


class JobOptions(BaseModel):
    """The options of `magenet enhance` and `magenet assess`, checked.

    Attributes:
        archive: folders, single images, `.parquet` manifests or places such as `s3://bucket/folder`.
        out: the output folder, or a place such as `s3://bucket/folder`.
        workers: number of workers; 0 works inside this process; None chooses.
        gpus: number of GPUs shared by the workers; 0 is CPU; None takes all there are.
        weights: name of shipped weights or path of a safetensors file.
        shard_size: images per shard; None chooses by the size of the plan.
        include: globs over relative paths; given, they replace the list of known extensions.
        exclude: globs over relative paths that are left out.
        limit: process only the first N images of the plan.
        path_column: the manifest's column of paths; None guesses.
        root: the folder that a manifest's paths are relative to; None is the manifest's own.
        resolution: images wider than this are reduced to it, in px; None keeps all as they are.
        quality: JPEG quality of outputs, 1..100; None leaves it to the writer.
        output_format: `source` keeps each image's own; or jpeg, png, tiff for all.
        metadata: what outputs carry over of their sources: keep, minimal or none.
        page: which picture to take from files that hold several, from 1; None refuses those.
        policy: what is enhanced and delivered: standard, cautious or all.
        policy_set: thresholds of it that are changed, such as `fidelity=0.5`.
        kept: what becomes of images that are left as they are: copy, link or omit.
        rejects: the same of those that are beyond help.
        grey: what becomes of grey photographs: `keep` or `enhance`, in grey.
        blend: share of the enhanced image in what is written, 0..1; the rest is the original.
        look: `natural`, or `clear`, which raises local contrast after restoration.
        evidence: whether to write a picture of what changed beside every enhanced image.
        assess: only measure quality; no network, no outputs.
        address: of a running Ray cluster (`auto`, `HOST:PORT`, `ray://...`); None starts one here.
        part: work only on a part of the shards, `NUMBER/OF`; None works on all.
        retry_failed: work again on the images that failed, and on nothing that is done.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    archive: tuple[str, ...] = Field(min_length=1)
    out: str = DEFAULT_OUT
    workers: int | None = Field(default=None, ge=0)
    gpus: int | None = Field(default=None, ge=0)
    weights: str = DEFAULT_WEIGHTS
    shard_size: int | None = Field(default=None, ge=1)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    limit: int | None = Field(default=None, ge=1)
    path_column: str | None = None
    root: str | None = None
    resolution: int | None = Field(default=None, ge=64)
    quality: int | None = Field(default=None, ge=1, le=100)
    output_format: OutputFormat = "source"
    metadata: MetadataPolicy = "keep"
    page: int | None = Field(default=None, ge=1)
    policy: str = "standard"
    policy_set: tuple[str, ...] = ()
    kept: OriginalAction = "copy"
    rejects: OriginalAction = "omit"
    grey: GreyAction = "keep"
    blend: float = Field(default=1.0, ge=0, le=1)
    look: Look = "natural"
    evidence: bool = False
    assess: bool = False
    address: str | None = None
    part: str | None = None
    retry_failed: bool = False

    @model_validator(mode="after")
    def _can_be_read(self) -> JobOptions:
        """Raise `UsageError` at once for what would be found out at work."""
        choose_policy(self.policy, self.policy_set)
        if self.part is not None:
            Part.parse(self.part)
        if is_store(self.out) and "link" in (self.kept, self.rejects):
            raise UsageError(
                f"{self.out} is in an object store, which holds no links: copy or omit."
            )
        return self

    @property
    def out_path(self) -> Location:
        """The output folder, absolute, or a place in an object store."""
        return location_of(self.out)

    @property
    def part_of_job(self) -> Part | None:
        """The part to work on, None for all.

        Raises:
            UsageError: it is not written as `NUMBER/OF`.
        """
        return None if self.part is None else Part.parse(self.part)

    @property
    def image_options(self) -> ImageOptions:
        """How images are read and written, for the workers."""
        return ImageOptions(
            quality=self.quality, resolution=self.resolution, page=self.page,
            output_format=self.output_format, metadata=self.metadata,
            policy=choose_policy(self.policy, self.policy_set), kept=self.kept,
            rejects=self.rejects, grey=self.grey, evidence=self.evidence, assess=self.assess,
            look=self.look,
        )  # fmt: skip

    def identity(self, weights_hash: str | None) -> dict[str, Any]:
        """Everything that decides what the outputs are; a resumed job must have the same.

        Args:
            weights_hash: hash of the weights' content, None where it is not known.

        Returns:
            JSON-ready values by option name. Workers, GPUs, address and part are not among them.
        """
        return {
            "archive": [
                a if is_store(a) else str(Path(a).expanduser().resolve()) for a in self.archive
            ],
            "include": list(self.include),
            "exclude": list(self.exclude),
            "limit": self.limit,
            "path_column": self.path_column,
            "root": None if self.root is None else str(Path(self.root).expanduser().resolve()),
            "shard_size": self.shard_size,
            "weights": self.weights,
            "weights_hash": weights_hash,
            "resolution": self.resolution,
            "quality": self.quality,
            "output_format": self.output_format,
            "metadata": self.metadata,
            "page": self.page,
            "policy": self.image_options.policy.record(),
            "kept": self.kept,
            "rejects": self.rejects,
            "grey": self.grey,
            "blend": self.blend,
            "look": self.look,
            "evidence": self.evidence,
            "task": "assess" if self.assess else "enhance",
            "row_schema": ROW_SCHEMA_VERSION,
        }
