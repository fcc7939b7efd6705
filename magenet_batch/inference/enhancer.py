"""Enhance images at their own resolution, with any kind of network."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from magenet_batch.errors import UsageError
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.inference.batching import Each, inferring, together
from magenet_batch.inference.pixels import reduced
from magenet_batch.inference.preparing import Given
from magenet_batch.inference.restoring import Estimates, Restoring
from magenet_batch.inference.tiles import Square
from magenet_batch.inference.tiling import Tiling
from magenet_batch.models.build import Network
from magenet_batch.models.catalog import WeightsFile
from magenet_batch.models.device import pick_autocast, pick_device
from magenet_batch.models.restoration.network import STRUCTURE_SIZE, Restorer
from magenet_batch.models.weights import load_weights
from magenet_batch.settings import DEFAULT_WEIGHTS, Look


@dataclass(frozen=True)
class Enhancement:
    """Output of the network for one image.

    Attributes:
        pixels: (H, W, 3), shape and dtype of the input.
        vessels_before: (h, w) float32, probability of vessel in the input, over the whole picture
            at a reduced size; None if the network has no structure module.
        vessels_after: the same for the enhanced image.
        estimates: what was wrong with the image; None if the network does not estimate it.
    """

    pixels: np.ndarray
    vessels_before: np.ndarray | None
    vessels_after: np.ndarray | None
    estimates: Estimates | None = None


class Enhancer:
    """A network that is loaded once and enhances many images.

    Args:
        network: the network, in float32.
        info: metadata of its weights.
        device: device of the computation.
        precision: `fp32`, `bf16`, or `auto`: bf16 on GPUs that support it, fp32 on CPUs.
        tile: longest side of a tile without its overlap, pixels, a multiple of 8; only for networks
            that work in tiles.
        blend: weight of the enhanced image in the result, 0..1; the rest is the original.
        look: `natural` restores what was there; `clear` also raises local contrast afterwards.

    Raises:
        UsageError: the network does not offer the look.
    """

    def __init__(
        self,
        network: Network,
        info: WeightsFile,
        *,
        device: torch.device,
        precision: str = "auto",
        tile: int = 1728,
        blend: float = 1.0,
        look: Look = "natural",
    ) -> None:
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.weights_name = info.name
        self.weights_hash = info.hash
        self._device = device
        # On CPUs, results should not depend on the instructions that a processor supports.
        on_cpu = precision == "auto" and device.type == "cpu"
        self._autocast = pick_autocast("fp32" if on_cpu else precision, device)
        self._blend = blend
        self._batch = threading.Lock()
        self._runner: Restoring | Tiling
        if isinstance(network, Restorer):
            self._runner = Restoring(network, device=device, autocast=self._autocast, look=look)
        elif look != "natural":
            raise UsageError(
                f"the look '{look}' needs weights that restore; {info.name} are of another kind: "
                "leave --look out, or choose other --weights"
            )
        else:
            self._runner = Tiling(network, device=device, autocast=self._autocast, tile=tile)

    @classmethod
    def load(
        cls,
        weights: str = DEFAULT_WEIGHTS,
        *,
        device: str = "auto",
        threads: int = 0,
        precision: str = "auto",
        blend: float = 1.0,
        look: Look = "natural",
    ) -> Enhancer:
        """Load weights into a new enhancer.

        Args:
            weights: name of shipped weights, or path of a `.safetensors` file.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            threads: number of CPU threads for torch in this process; 0 keeps the current number.
            precision: `auto`, `fp32` or `bf16`.
            blend: weight of the enhanced image in the result, 0..1.
            look: `natural` or `clear`.

        Raises:
            WeightsError: the weights cannot be loaded.
            UsageError: the device does not exist, or the network does not offer the look.
        """
        if threads:
            torch.set_num_threads(threads)
        network, info = load_weights(weights)
        return cls(
            network, info, device=pick_device(device), precision=precision, blend=blend, look=look
        )

    def enhance(
        self,
        pixels: np.ndarray,
        fov: FieldOfView,
        *,
        cancelled: Callable[[], bool] = lambda: False,
        spots: bool = True,
    ) -> Enhancement:
        """Enhance an image inside its field of view; pixels outside it do not change.

        Networks that restore also enhance the notches of its edge (`imaging/notch.py`).

        Args:
            pixels: (H, W, 3) RGB, uint8 or uint16.
            fov: its field of view.
            cancelled: called between steps; return True to stop.
            spots: take dust and droplets away, with networks that can.

        Returns:
            The enhanced image, vessel maps and estimates.

        Raises:
            CancelledError: `cancelled` returned True.
            ImageError: the network produced values that are not finite.
        """
        return self.enhance_many([(pixels, fov)], cancelled=cancelled, spots=spots)[0]

    @torch.inference_mode()
    def enhance_many(
        self,
        images: Sequence[tuple[np.ndarray, FieldOfView]],
        *,
        cancelled: Callable[[], bool] = lambda: False,
        each: Each = map,
        spots: bool = True,
    ) -> list[Enhancement]:
        """Enhance several images, each like `enhance`, but together in the network.

        On a GPU this is many times as fast. An image can differ from what `enhance` makes of it in
        the last digits; where nothing is wrong, it keeps its pixels all the same. Networks that
        work in tiles detect vessels together, and enhance one image after another.

        Args:
            images: pixels, (H, W, 3) RGB, uint8 or uint16, with their fields of view; sizes and
                types may differ.
            cancelled: called between steps, by all threads of `each`; return True to stop.
            each: applies a function to every image, like `map`; that of a pool of threads does
                what precedes and follows the network for several images at a time.
            spots: as for `enhance`.

        Returns:
            The enhanced images in the same order.

        Raises:
            CancelledError: `cancelled` returned True.
            ImageError: the network produced values that are not finite, for one of the images.
        """
        if not images:
            return []
        # An image that keeps its dust is enhanced beside the batches, which may fill the GPU.
        alone = len(images) == 1 and spots
        with contextlib.nullcontext() if alone else self._batch:
            return self._enhance_many(images, cancelled, inferring(each), spots)

    def _enhance_many(
        self,
        images: Sequence[tuple[np.ndarray, FieldOfView]],
        cancelled: Callable[[], bool],
        each: Each,
        spots: bool,
    ) -> list[Enhancement]:
        masks = list(each(_mask, images))
        before = self._vessel_maps(images, masks, each)
        found = self._enhanced(images, masks, before, cancelled, each, spots)
        changed = [i for i, (result, _) in enumerate(found) if result is not images[i][0]]
        again = self._vessel_maps(
            [(found[i][0], images[i][1]) for i in changed], [masks[i] for i in changed], each
        )
        after = list(before)
        for i, seen in zip(changed, again, strict=True):
            after[i] = seen
        shown = [self._in_pictures(maps, images) for maps in (before, after)]
        return [
            Enhancement(result if result is not pixels else pixels.copy(), first, last, estimates)
            for (result, estimates), (pixels, _), first, last in zip(
                found, images, *shown, strict=True
            )
        ]

    def _enhanced(
        self,
        images: Sequence[tuple[np.ndarray, FieldOfView]],
        masks: Sequence[np.ndarray],
        vessels: Sequence[torch.Tensor | None],
        cancelled: Callable[[], bool],
        each: Each,
        spots: bool,
    ) -> list[tuple[np.ndarray, Estimates | None]]:
        """The enhanced pixels, the given ones where nothing is changed, and the estimates."""
        runner, blend = self._runner, self._blend
        if isinstance(runner, Restoring):
            given = [
                Given(pixels, fov, mask, seen)
                for (pixels, fov), mask, seen in zip(images, masks, vessels, strict=True)
            ]
            restored = runner.restore(
                given, blend=blend, cancelled=cancelled, each=each, spots=spots
            )
            return [*restored]
        return [
            (runner.enhance(pixels, fov, mask, blend=blend, cancelled=cancelled), None)
            for (pixels, fov), mask in zip(images, masks, strict=True)
        ]

    def vessels(self, pixels: np.ndarray, fov: FieldOfView) -> np.ndarray | None:
        """Detect vessels with the structure module, also while another thread enhances.

        Args:
            pixels: (H, W, 3) RGB, uint8 or uint16.
            fov: its field of view.

        Returns:
            (h, w) float32, probability of vessel over the whole picture, reduced so that the field
            of view is about 500 pixels wide; None if the network has no structure module.
        """
        with contextlib.suppress(torch.OutOfMemoryError):
            return self._vessels(pixels, fov)
        with self._batch:  # until a batch that fills the GPU has left it
            return self._vessels(pixels, fov)

    @torch.inference_mode()
    def _vessels(self, pixels: np.ndarray, fov: FieldOfView) -> np.ndarray | None:
        image = pixels, fov
        return self._in_pictures(self._vessel_maps([image], [_mask(image)], map), [image])[0]

    def _vessel_maps(
        self,
        images: Sequence[tuple[np.ndarray, FieldOfView]],
        masks: Sequence[np.ndarray],
        each: Each,
    ) -> list[torch.Tensor | None]:
        """Probability of vessel in the square around each field of view: (1, 1, S, S)."""
        structure = self.network.structure
        if structure is None:
            return [None] * len(images)

        def seen(of: tuple[tuple[np.ndarray, FieldOfView], np.ndarray]) -> torch.Tensor:
            (pixels, fov), mask = of
            square = Square.around(fov)
            return reduced(pixels, mask, square, size=STRUCTURE_SIZE, device=self._device)

        def detected(x_B3SS: torch.Tensor) -> torch.Tensor:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
                logits = structure(x_B3SS).logits
            return torch.sigmoid(logits.float())

        return [*together(detected, list(each(seen, zip(images, masks, strict=True))))]

    def _in_pictures(
        self,
        maps: Sequence[torch.Tensor | None],
        images: Sequence[tuple[np.ndarray, FieldOfView]],
    ) -> list[np.ndarray | None]:
        """Maps of the whole pictures; those of one size come from the device together."""
        there = [found for found in maps if found is not None]
        if not there:
            return [None] * len(images)
        return [
            _in_picture(found, Square.around(fov), *pixels.shape[:2])
            for found, (pixels, fov) in zip(together(torch.Tensor.cpu, there), images, strict=True)
        ]


def _mask(image: tuple[np.ndarray, FieldOfView]) -> np.ndarray:
    pixels, fov = image
    return fov.mask(*pixels.shape[:2])


def _in_picture(map_11SS: torch.Tensor, square: Square, height: int, width: int) -> np.ndarray:
    """Cut a map of the square to the whole picture at the same scale, 0 outside the square."""
    small = map_11SS[0, 0].numpy()
    scale = small.shape[0] / square.side
    matrix = np.array([[1, 0, square.left * scale], [0, 1, square.top * scale]])
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.warpAffine(small, matrix, size, flags=cv2.INTER_LINEAR)
