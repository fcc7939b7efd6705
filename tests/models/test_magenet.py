"""The network: any size, no seams, identity at first, parts that can really be taken out."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from magenet_batch.errors import RecipeError
from magenet_batch.models.affine import Affine, Window, cut_resized
from magenet_batch.models.config import SIZES, magenet_config
from magenet_batch.models.magenet import Crop, MageNet


def stirred(size: str = "tiny", *, seed: int = 0, **changes: object) -> MageNet:
    """A network whose heads do something, so that a test of its output can fail."""
    torch.manual_seed(seed)
    network = MageNet(magenet_config(size, **changes)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.02)
    return network


@pytest.mark.parametrize("size", sorted(SIZES))
def test_a_new_network_is_the_identity(size: str):
    image = torch.rand(1, 3, 64, 96)
    for out in MageNet(magenet_config(size)).eval()(image).images[1:]:
        assert torch.allclose(out, image, atol=1e-6)


@pytest.mark.parametrize("shape", [(32, 32), (64, 160), (96, 32)])
def test_every_stage_gives_an_image_of_its_size(shape: tuple[int, int]):
    height, width = shape
    images = stirred()(torch.rand(2, 3, height, width)).images
    assert [tuple(i.shape) for i in images] == [
        (2, 3, height // 2, width // 2), (2, 3, height, width), (2, 3, height, width)
    ]  # fmt: skip


@pytest.mark.parametrize(("size", "most"), [("small", 6.0), ("base", 40.0)])
def test_the_budget_in_gmac_at_512_pixels(size: str, most: float):
    network = MageNet(magenet_config(size)).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 512, 512))
    assert counter.get_total_flops() / 2e9 <= most


def test_tiles_agree_with_the_whole():
    network = stirred()
    whole = torch.rand(1, 3, 640, 512)
    context = network.context(torch.rand(1, 3, 96, 96))
    with torch.no_grad():
        untiled = network.refine(
            whole, context, window=Window.whole(640, 512), height=640, width=512
        )
        halo = -(-network.reach // 8) * 8
        core = Window(256, 384, 128, 256)
        seen = Window(core.top - halo, core.bottom + halo, core.left - halo, core.right + halo)
        tile = network.refine(
            whole[..., seen.top : seen.bottom, seen.left : seen.right], context,
            window=seen, height=640, width=512,
        )[..., halo:-halo, halo:-halo]  # fmt: skip
    expected = untiled[..., core.top : core.bottom, core.left : core.right]
    assert float((tile - expected).abs().max()) < 1 / 255 / 10
    assert float((untiled - whole).abs().max()) > 10 / 255


def test_nothing_beyond_its_reach_matters():
    network = stirred()
    context = network.context(torch.rand(1, 3, 64, 64))
    image = torch.rand(1, 3, 320, 320, requires_grad=True)
    out = network.refine(image, context, window=Window.whole(320, 320), height=320, width=320)
    out[0, :, 160, 160].sum().backward()
    touched = image.grad[0].abs().sum(0).nonzero()
    assert int((touched - 160).abs().max()) <= network.reach


def test_a_window_of_a_resized_image_does_not_depend_on_the_window():
    small = torch.rand(1, 2, 17, 23)
    whole = cut_resized(small, Window.whole(101, 211), height=101, width=211)
    part = cut_resized(small, Window(13, 57, 100, 190), height=101, width=211)
    assert torch.allclose(part, whole[..., 13:57, 100:190], atol=1e-6)


def test_affine_transforms_compose():
    raw = torch.randn(2, 2, 12, 5, 7)
    first, second = (Affine.from_raw(r) for r in raw)
    image = torch.rand(2, 3, 5, 7)
    one_by_one = second.apply(first.apply(image))
    assert torch.allclose(second.after(first).apply(image), one_by_one, atol=1e-5)
    again = Affine.unpacked(first.packed())
    assert torch.equal(again.matrix, first.matrix)
    assert torch.equal(again.offset, first.offset)


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"stages": 1}, ("fine.", "local.", "to_condition.")),
        ({"stages": 2}, ("local.", "to_condition.")),
        ({"attention": False}, (".channel.", ".spatial.")),
        ({"supervised_attention": False}, ("supervised_attention.",)),
        ({"fusion": False}, ("fuse_encoder.", "fuse_decoder.")),
        ({"structure": False}, ("structure.", "guides.")),
        ({"gate": False}, ("local_gate.", "global_gate.")),
        ({"bands": 0}, ("local.bands.",)),
        ({"statistics": False}, ("describe_colour.",)),
    ],
)
def test_switching_a_part_off_removes_it(changes: dict[str, object], gone: tuple[str, ...]):
    complete = stirred().state_dict().keys()
    network = stirred(**changes)
    # The structure module has attention of its own, which belongs to it and not to the stages.
    left = [
        k for k in network.state_dict() if not k.startswith("structure.") or "structure." in gone
    ]
    for word in gone:
        assert any(word in key for key in complete)
        assert not any(word in key for key in left)
    assert torch.isfinite(network(torch.rand(1, 3, 64, 64)).images[-1]).all()


def test_gradients_reach_every_part():
    network = stirred()
    working, tile = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    out = network(working, crop=Crop(tile, Window(0, 64, 64, 128), 128, 128))
    sum(image.square().mean() for image in out.images).backward()
    without = [
        name
        for name, p in network.named_parameters()
        if (p.grad is None or not p.grad.any()) and not name.startswith("structure.head")
    ]
    # The deepest level of the coarse stage's decoder is not handed on; everything else is.
    assert without == []


def test_an_unknown_size_names_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'small'"):
        magenet_config("smal")
