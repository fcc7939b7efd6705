"""Options of an archive job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from magenet_batch.dicomweb import is_dicomweb, masked
from magenet_batch.errors import UsageError
from magenet_batch.imaging.metadata import MetadataPolicy
from magenet_batch.imaging.names import OutputFormat
from magenet_batch.jobs.policy import Policy, choose_policy
from magenet_batch.records.part import Part
from magenet_batch.records.schema import ROW_SCHEMA_VERSION
from magenet_batch.settings import (
    DEFAULT_OUT,
    DEFAULT_WEIGHTS,
    ColourModel,
    Deidentify,
    DicomSyntax,
    GreyAction,
    Look,
    OriginalAction,
    Sidecar,
)
from magenet_batch.storage import Location, expanded, is_store, location_of


@dataclass(frozen=True)
class ImageOptions:
    """How images are read and written; `JobOptions.image_options` creates it and has the defaults.

    Attributes:
        quality: JPEG quality of outputs; None for the writer's default.
        resolution: maximum width, pixels; wider images are reduced. None keeps all sizes.
        output_format: `source` keeps each image's own format.
        metadata: metadata that outputs carry over from their sources.
        dicom_syntax: how the pixels of DICOM outputs are stored.
        deidentify: whether outputs are de-identified, and after which profile.
        page: page to read from multi-page files; None refuses such files.
        colour_model: what colour DICOM images hold, against their label; None believes it.
        policy: which images are delivered.
        kept: what to do with originals that are not replaced by an enhanced image.
        rejects: what to do with rejected originals.
        grey: what to do with grey photographs: `keep` delivers them as they came, `enhance`
            enhances them in grey.
        evidence: whether to write a picture of what changed for every enhanced image.
        assess: only measure; enhance and write nothing.
        look: look of enhanced images, for the row; the enhancer has it too.
    """

    quality: int | None
    resolution: int | None
    output_format: OutputFormat
    metadata: MetadataPolicy
    dicom_syntax: DicomSyntax
    deidentify: Deidentify
    page: int | None
    colour_model: ColourModel | None
    policy: Policy
    kept: OriginalAction
    rejects: OriginalAction
    grey: GreyAction
    evidence: bool
    assess: bool
    look: Look


class JobOptions(BaseModel):
    """Validated options of `magenet enhance` and `magenet assess`.

    Attributes:
        archive: folders, single images, `.parquet` manifests, locations such as
            `s3://bucket/folder`, or addresses such as `dicomweb+https://HOST/dicom-web/studies/UID`.
        out: the output folder, or a location such as `s3://bucket/folder`.
        workers: number of workers; 0 works inside this process; None chooses.
        gpus: number of GPUs to share among workers; 0 runs on the CPU; None takes all available.
        weights: name of shipped weights, or path of a safetensors file.
        shard_size: images per shard; None chooses by the size of the plan.
        include: globs over relative paths; they replace the list of known extensions.
        exclude: globs over relative paths to leave out.
        limit: process only the first N images of the plan.
        path_column: column of the manifest with the paths; None detects it.
        root: folder that a manifest's paths are relative to; None for the manifest's own.
        resolution: maximum width, pixels; wider images are reduced. None keeps all sizes.
        quality: JPEG quality of outputs, 1..100; None for the writer's default.
        output_format: `source` keeps each image's own format; or jpeg, png, tiff for all.
        metadata: metadata that outputs carry over from their sources: keep, minimal or none.
        dicom_syntax: how the pixels of DICOM outputs are stored: explicit, rle or jpeg2000.
        deidentify: `basic` de-identifies outputs after PS3.15; originals must then be omitted.
        page: page to read from multi-page files, from 1; None refuses such files.
        colour_model: what colour DICOM images hold, against their label: rgb or ybr.
        policy: which images are enhanced and delivered: standard, cautious or all.
        policy_set: changes to the policy's thresholds, such as `fidelity=0.5`.
        kept: what to do with originals that are not replaced: copy, link or omit.
        rejects: what to do with rejected originals: copy, link or omit.
        grey: what to do with grey photographs: `keep`, or `enhance` in grey.
        blend: weight of the enhanced image in the output, 0..1; the rest is the original.
        look: `natural`, or `clear`, which also raises local contrast.
        evidence: whether to write a picture of what changed for every enhanced image.
        sidecar: `json` writes every row also as a JSON file beside its image; `none` does not.
        assess: only measure quality; no network, no outputs.
        address: address of a running Ray cluster (`auto`, `HOST:PORT`, `ray://...`); None for none.
        part: part of the shards to process, `NUMBER/OF`; None for all.
        retry_failed: retry the images that failed, and nothing that is done.
        append: include images that are new or changed since the job was planned.
        settle: seconds that a new or changed file must keep its size and time before it is planned;
            0 plans all files at once.
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
    dicom_syntax: DicomSyntax = "explicit"
    deidentify: Deidentify = "none"
    page: int | None = Field(default=None, ge=1)
    colour_model: ColourModel | None = None
    policy: str = "standard"
    policy_set: tuple[str, ...] = ()
    kept: OriginalAction = "copy"
    rejects: OriginalAction = "omit"
    grey: GreyAction = "keep"
    blend: float = Field(default=1.0, ge=0, le=1)
    look: Look = "natural"
    evidence: bool = False
    sidecar: Sidecar = "none"
    assess: bool = False
    address: str | None = None
    part: str | None = None
    retry_failed: bool = False
    append: bool = False
    settle: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _can_be_read(self) -> JobOptions:
        """Raise `UsageError` at once for problems that would otherwise appear during the work."""
        for path in (*self.archive, self.out, self.weights, self.root or ""):
            if "\0" in path:
                raise UsageError(f"{path!r}: a path cannot contain a null byte.")
        for what, given in (*(("ARCHIVE", a) for a in self.archive), ("-o", self.out),
                           ("--root", self.root)):  # fmt: skip
            if given is not None and not given.strip():
                raise UsageError(f"{what} is empty. Is a variable of the shell not set?")
        choose_policy(self.policy, self.policy_set)
        if self.part is not None:
            Part.parse(self.part)
        if self.append and self.limit is not None:
            raise UsageError("--append and --limit exclude each other. Leave one of them out.")
        if self.deidentify != "none" and {self.kept, self.rejects} != {"omit"}:
            raise UsageError(
                f"--deidentify {self.deidentify}: originals that are delivered as they came would "
                "identify patients. Add --kept omit, and leave --rejects at omit."
            )
        if is_dicomweb(self.out):
            raise UsageError(
                "Outputs go to a folder or an object store first. Give one with -o; afterwards, "
                "magenet send OUT URL stores them on a DICOMweb server."
            )
        if any(map(is_dicomweb, self.archive)) and "link" in (self.kept, self.rejects):
            raise UsageError("Images on a DICOMweb server cannot be linked to: use copy or omit.")
        if is_store(self.out) and "link" in (self.kept, self.rejects):
            raise UsageError(
                f"{self.out} is in an object store, which has no links: use copy or omit."
            )
        return self

    @property
    def out_path(self) -> Location:
        """The output folder, absolute, or a location in an object store."""
        return location_of(self.out)

    @property
    def part_of_job(self) -> Part | None:
        """The part to process; None for all.

        Raises:
            UsageError: it does not have the form `NUMBER/OF`.
        """
        return None if self.part is None else Part.parse(self.part)

    @property
    def image_options(self) -> ImageOptions:
        """Options of reading and writing images, for the workers."""
        return ImageOptions(
            quality=self.quality, resolution=self.resolution, page=self.page,
            colour_model=self.colour_model,
            output_format=self.output_format, metadata=self.metadata,
            dicom_syntax=self.dicom_syntax, deidentify=self.deidentify,
            policy=choose_policy(self.policy, self.policy_set), kept=self.kept,
            rejects=self.rejects, grey=self.grey, evidence=self.evidence, assess=self.assess,
            look=self.look,
        )  # fmt: skip

    def identity(self, weights_hash: str | None) -> dict[str, Any]:
        """Everything that determines the outputs; it must not change when a job is resumed.

        Args:
            weights_hash: hash of the weights file; None if it is unknown.

        Returns:
            JSON-ready values by option name, without workers, GPUs, address, part and append.
        """
        return {
            "archive": [_recorded(a) for a in self.archive],
            "include": list(self.include),
            "exclude": list(self.exclude),
            "limit": self.limit,
            "path_column": self.path_column,
            "root": None if self.root is None else str(expanded(self.root).resolve()),
            "shard_size": self.shard_size,
            "weights": self.weights,
            "weights_hash": weights_hash,
            "resolution": self.resolution,
            "quality": self.quality,
            "output_format": self.output_format,
            "metadata": self.metadata,
            "dicom_syntax": self.dicom_syntax,
            "deidentify": self.deidentify,
            "page": self.page,
            "colour_model": self.colour_model,
            "policy": self.image_options.policy.record(),
            "kept": self.kept,
            "rejects": self.rejects,
            "grey": self.grey,
            "blend": self.blend,
            "look": self.look,
            "evidence": self.evidence,
            "sidecar": self.sidecar,
            "task": "assess" if self.assess else "enhance",
            "row_schema": ROW_SCHEMA_VERSION,
        }


def _recorded(archive: str) -> str:
    """An archive as `run.json` names it: an absolute path, or an address without patients."""
    if is_dicomweb(archive):
        return masked(archive)  # other studies are noticed by their images
    return archive if is_store(archive) else str(expanded(archive).resolve())
