"""A wrong weights file gives a sentence that helps, and runs no code."""

import json
import struct

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from magenet_batch.errors import WeightsError
from magenet_batch.jobs.run import load_enhancer
from magenet_batch.models.catalog import read_weights_file
from magenet_batch.models.config import magenet_config
from magenet_batch.models.magenet import MageNet
from magenet_batch.models.weights import load_weights, save_weights


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "good.safetensors"
    save_weights(MageNet(magenet_config("tiny")), path, name="tiny", notes={})
    return path


def parts(good):
    """Tensors and metadata of good weights, to be spoilt."""
    network, found = load_weights(str(good))
    tensors = {k: v.half().numpy() for k, v in network.state_dict().items()}
    return tensors, {"format": "magenet-1", "name": "tiny", "config": found.config}


def refused(path, content=None):
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        load_weights(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


class Bomb:
    def __reduce__(self):
        return (open, ("ran", "w"))


def test_a_pickle_is_named_and_never_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"w": Bomb()}, tmp_path / "x.pt")
    said = refused(tmp_path / "x.pt")
    assert "pickle" in said and "safetensors" in said
    assert not (tmp_path / "ran").exists()


def test_files_that_are_something_else(tmp_path, good):
    whole = good.read_bytes()
    assert "empty" in refused(tmp_path / "a", b"")
    assert "not a complete safetensors" in refused(tmp_path / "b", b"\xff\xd8\xff" + bytes(99))
    assert "again" in refused(tmp_path / "c", whole[: len(whole) // 2])
    assert "not a complete safetensors" in refused(
        tmp_path / "d", struct.pack("<Q", 2**60) + whole[8:]
    )
    assert "is a folder" in refused(tmp_path)


def test_tensors_must_be_the_networks_own(tmp_path, good):
    tensors, metadata = parts(good)
    first = next(iter(tensors))
    spoilt = {
        "no magenet weights": (tensors, {}),
        "a training checkpoint": (tensors, {"progress": "{}"}),
        "too many": ({**tensors, "extra": np.zeros(3, np.float16)}, metadata),
        "lacks": ({k: v for k, v in tensors.items() if k != first}, metadata),
        "the shape": ({**tensors, first: np.zeros(3, np.float16)}, metadata),
        "not finite": ({**tensors, first: np.full_like(tensors[first], np.nan)}, metadata),
        "I32": ({**tensors, first: tensors[first].astype(np.int32)}, metadata),
        "cannot build": (tensors, {**metadata, "config": "{"}),
        "damaged notes": (tensors, {**metadata, "notes": "[1]"}),
    }
    for words, (content, described) in spoilt.items():
        assert words in refused(tmp_path / "w", save(content, metadata=described)), words


def test_a_description_of_a_giant_takes_no_memory(tmp_path, good):
    tensors, metadata = parts(good)
    giant = {**json.loads(metadata["config"]), "local_widths": [200_000, 200_000, 200_000]}
    said = refused(
        tmp_path / "w", save(tensors, metadata={**metadata, "config": json.dumps(giant)})
    )
    assert "the shape" in said


def test_a_hostile_name_is_made_printable(tmp_path, good):
    tensors, metadata = parts(good)
    name = "a\x1b[2J\u202e\n<b>" + "x" * 500
    (tmp_path / "w").write_bytes(save(tensors, metadata={**metadata, "name": name}))
    found = read_weights_file(str(tmp_path / "w"))
    assert found.name.isprintable() and len(found.name) <= 80


def test_a_worker_with_other_weights_says_so(good):
    known = read_weights_file(str(good)).hash
    assert load_enhancer("cpu", 1, weights=str(good), expected=known).weights_hash == known
    with pytest.raises(WeightsError, match="differ between workers"):
        load_enhancer("cpu", 1, weights=str(good), expected="0" * 16)
