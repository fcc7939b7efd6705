"""Several images through the network together: each comes out as it does alone."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_restoring import bordered, enhancer, phantom, saved
from torch.overrides import TorchFunctionMode

from magenet_batch.errors import CancelledError, ImageError
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.inference.batching import together
from magenet_batch.inference.enhancer import Enhancement, Enhancer
from magenet_batch.models.restoration.fields import Planes
from magenet_batch.models.weights import load_weights

Image = tuple[np.ndarray, FieldOfView]


def different() -> list[Image]:
    """Three sizes of copies, one of them twice; a cut field of view, 16 bits, a black border."""
    blurred, fov = phantom(300, 2)
    cut, whole = phantom(301, 3)
    deep, deep_fov = phantom(400, 5)
    return [
        (cv2.GaussianBlur(blurred, (0, 0), 2), fov),
        phantom(600, 4),
        (np.ascontiguousarray(cut[40:-40]),
         FieldOfView(whole.x, whole.y - 40, whole.radius, 0, 0, 301, 221, 301, 221)),
        (deep.astype(np.uint16) * 257, deep_fov),
        phantom(300, 6),
        bordered(2),
    ]  # fmt: skip


def faulty_if_red(network: Enhancer) -> None:
    """Make Sense find a blur in those images alone in which there is much red."""

    def found(module, args, sensed):
        red = sensed.statistics[:, -6]  # the mean red, since nothing is standardised
        return sensed._replace(blur=torch.where(red > 0.35, 1.5, 0.0))

    network.network.sense.register_forward_hook(found)


def same(one: Enhancement, other: Enhancement) -> None:
    assert one.pixels.dtype == other.pixels.dtype
    level = 257 if one.pixels.dtype == np.uint16 else 1
    assert np.abs(one.pixels.astype(int) - other.pixels).max() <= level
    assert np.abs(one.vessels_before - other.vessels_before).max() < 1e-4
    assert np.abs(one.vessels_after - other.vessels_after).max() < 0.05  # of pixels one level apart
    for name, value in vars(one.estimates).items():
        assert vars(other.estimates)[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


@pytest.mark.parametrize("look", ["natural", "clear"])
def test_each_image_comes_out_as_it_does_alone(tmp_path: Path, look):
    network, found = load_weights(saved(tmp_path, stir=0.05))
    one = Enhancer(network, found, device=torch.device("cpu"), look=look)
    images = different()
    alone = [one.enhance(*image) for image in images]
    with ThreadPoolExecutor(3) as pool:
        for each in (map, pool.map):
            for first, second in zip(alone, one.enhance_many(images, each=each), strict=True):
                same(first, second)
    assert all(
        np.abs(a.pixels.astype(int) - p).max() > 3 for a, (p, _) in zip(alone, images, strict=True)
    )
    assert one.enhance_many([]) == []


def test_an_image_without_faults_keeps_its_bits_beside_faulty_ones(tmp_path: Path):
    one = enhancer(saved(tmp_path, stir=0.05))
    with torch.no_grad():
        one.network.light.believe[2].weight.zero_()
        one.network.light.believe[2].bias[0] = -9.0
        one.network.light.tone[4].weight.zero_()
        one.network.light.tone[4].bias[3] = -9.0
        one.network.sense.estimates.weight.zero_()
        one.network.sense.estimates.bias[:] = -20.0
        one.network.scatter.expected.fill_(-20.0)
        one.network.spots.last.weight.zero_()
        one.network.spots.last.bias.zero_()
    faulty_if_red(one)
    red = phantom(300, 2)
    dark, blurred = (red[0] // 3, red[1]), (cv2.GaussianBlur(red[0], (0, 0), 1), red[1])
    sizes = []
    one.network.sensor.register_forward_hook(lambda module, args, out: sizes.append(len(out)))
    batch = [red, dark, blurred, dark]
    done = one.enhance_many(batch)
    assert sizes == [2], "the stage ran for the faulty ones only"
    for index in (1, 3):
        assert np.array_equal(done[index].pixels, dark[0])
        assert not np.shares_memory(done[index].pixels, dark[0])
        assert np.array_equal(done[index].vessels_before, done[index].vessels_after)
    for index in (0, 2):
        assert (done[index].pixels != batch[index][0]).any()
        same(one.enhance(*batch[index]), done[index])


def test_networks_that_work_in_tiles_take_images_one_by_one(weights: str):
    one = enhancer(weights)
    images = different()
    for image, done in zip(images, one.enhance_many(images), strict=True):
        assert np.array_equal(done.pixels, one.enhance(*image).pixels)


class Waits(TorchFunctionMode):
    """Counts what makes the host wait for a device, in this thread."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        self.count += name in ("__bool__", "__float__", "__int__", "item", "tolist", "cpu")
        return func(*args, **(kwargs or {}))


def test_a_batch_waits_for_the_device_as_often_as_one_image(tmp_path: Path, monkeypatch):
    """As long as the copies have one size, and but for the way back of the results."""
    monkeypatch.setattr(
        "magenet_batch.inference.restoring.composed",
        lambda found, **how: found.image.given.pixels + 1,
    )
    # On a CPU, which does not wait, it asks whether there is a saturation to apply.
    monkeypatch.setattr(Planes, "apply", lambda self, x: self.gain * x - self.offset)
    one = enhancer(saved(tmp_path, stir=0.05))
    pixels, fov = phantom(300)
    counts = []
    for images in (1, 2, 5):
        with Waits() as waits:
            one.enhance_many([(pixels // (1 + n), fov) for n in range(images)])
        counts.append(waits.count)
    assert counts[0] == counts[1] == counts[2], counts
    assert 0 < counts[0] <= 7  # one of them only on a CPU: whether there are spots


def test_a_batch_stops_when_asked(tmp_path: Path):
    one = enhancer(saved(tmp_path, stir=0.05))
    asked = []

    def cancelled(after: int):
        return lambda: asked.append(1) or len(asked) > after

    images = different()
    one.enhance_many(images, cancelled=cancelled(10**6))
    checks, kept = len(asked), [pixels.copy() for pixels, _ in images]
    assert checks >= 2 + len(images)
    for after in (0, 1, 2, checks - 1):
        asked.clear()
        with pytest.raises(CancelledError):
            one.enhance_many(images, cancelled=cancelled(after))
    assert all(np.array_equal(a, b) for a, (b, _) in zip(kept, images, strict=True))


def test_a_network_that_yields_nan_is_an_error_of_the_batch(tmp_path: Path):
    one = enhancer(saved(tmp_path, stir=0.05))

    def broken(module, args, out):
        out[-1] = float("nan")
        return out

    one.network.sensor.register_forward_hook(broken)
    with pytest.raises(ImageError, match="not finite"):
        one.enhance_many([phantom(300, 2), phantom(300, 4)])


def test_a_gpu_without_room_is_asked_again_when_the_batch_is_through(tmp_path: Path, monkeypatch):
    one = enhancer(saved(tmp_path, stir=0.05))
    image, calls = phantom(), []
    wanted = one.vessels(*image)
    detect = one._vessels

    def full_once(*given):
        calls.append(one._batch.locked())
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return detect(*given)

    monkeypatch.setattr(one, "_vessels", full_once)
    assert np.array_equal(one.vessels(*image), wanted)
    assert calls == [False, True]
    monkeypatch.setattr(one, "_vessels", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError()))
    with pytest.raises(torch.OutOfMemoryError):
        one.vessels(*image)
    assert not one._batch.locked()


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), max_size=8))
def test_tensors_of_one_shape_are_one_batch_in_their_order(shapes):
    tensors = [torch.full((1, *shape), float(index)) for index, shape in enumerate(shapes)]
    batches = []

    def work(batch: torch.Tensor) -> torch.Tensor:
        batches.append(tuple(batch.shape[1:]))
        return batch + 1

    done = together(work, tensors)
    assert [float(t.flatten()[0]) for t in done] == [i + 1 for i in range(len(shapes))]
    assert [tuple(t.shape) for t in done] == [(1, *shape) for shape in shapes]
    assert sorted(batches) == sorted(set(shapes))
