"""Errors travel between processes with all that they say."""

import importlib
import pickle
import pkgutil

import pytest

import magenet_batch
from magenet_batch.dicomweb import DicomwebError
from magenet_batch.errors import ImageError, MagenetError, StorageError

for module in pkgutil.walk_packages(magenet_batch.__path__, "magenet_batch."):
    if module.name.endswith(("errors", "error")):
        importlib.import_module(module.name)


def kinds(parent: type[MagenetError] = MagenetError) -> list[type[MagenetError]]:
    return [parent, *(kind for child in parent.__subclasses__() for kind in kinds(child))]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_error_survives_the_way_to_another_process(kind):
    error = ImageError("corrupt", "words") if issubclass(kind, ImageError) else kind("words")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.__dict__) == (kind, "words", error.__dict__)


@pytest.mark.parametrize(
    "error",
    [
        ImageError("too_large", "a\x1b[2Jb"),
        StorageError("m", why="w", persistent=True),
        DicomwebError("m", why="w", status=503, persistent=True),
    ],
)
def test_with_all_of_its_attributes(error):
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.__dict__) == (str(error), error.__dict__)
