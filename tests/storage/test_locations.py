"""A store is worked with as a folder is; objects are there whole or not at all."""

import pytest

from magenet_batch import storage
from magenet_batch.errors import StorageError
from magenet_batch.storage import Sizes, StorePath, is_below, names_in

pytestmark = pytest.mark.slow
OUT = "s3://results/made/here"
STEPS = {
    "begin": lambda asked: "?uploads" in asked,
    "a part": lambda asked: "partNumber=2" in asked,
    "complete": lambda asked: asked.startswith("POST") and "uploadId=" in asked,
}


@pytest.mark.parametrize("step", STEPS)
def test_a_large_object_is_whole_or_as_it_was(empty_bucket, deny, step):
    place = StorePath(f"{OUT}/large.png")
    place.write_bytes(b"as it was")
    deny(STEPS[step])
    with pytest.raises(StorageError, match="cannot be written"):
        place.write_bytes(b"x" * 24_000_000)
    deny(None)
    assert place.read_bytes() == b"as it was"
    place.write_bytes(b"x" * 24_000_000)
    assert place.stat().st_size == 24_000_000


def test_the_largest_object_of_one_request_is_one(empty_bucket, deny):
    deny(lambda asked: "upload" in asked)
    place = StorePath(f"{OUT}/small.png")
    place.write_bytes(b"x" * storage.store.ONE_PUT_BYTES)
    assert place.stat().st_size == storage.store.ONE_PUT_BYTES
    with pytest.raises(StorageError):
        place.write_bytes(b"x" * (storage.store.ONE_PUT_BYTES + 1))


def test_a_store_that_is_busy_is_asked_again(empty_bucket, deny):
    asked = []

    def busy(request):
        asked.append(request)
        return len(asked) < storage.connection.TRIES

    deny(busy, status="503 Slow Down", code="SlowDown")
    place = StorePath(f"{OUT}/x.png")
    place.write_bytes(b"x")
    assert len(asked) == storage.connection.TRIES
    deny(None)
    assert place.read_bytes() == b"x"


def test_a_place_acts_as_a_path_does(empty_bucket, tmp_path):
    for root in (StorePath("s3://results/tree"), tmp_path):
        for name in ("a.txt", "b.json", "sub/c.txt"):
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(name.encode())
        file = root / "sub/c.txt"
        assert (file.name, file.suffix, file.with_suffix(".x").name) == ("c.txt", ".txt", "c.x")
        assert file.read_text(encoding="utf-8") == "sub/c.txt" and file.stat().st_size == 9
        assert file.with_name("d") == file.parent / "d"
        assert sorted(names_in(root)) == ["a.txt", "b.json", "sub"]
        assert {n: f.st_size for n, f in storage.stats_in(root).items()} == {
            "a.txt": 5,
            "b.json": 6,
        }
        assert [p.name for p in root.glob("*.json")] == ["b.json"]
        assert (root / "sub").is_dir() and not (root / "sub").is_file()
        assert not (root / "none").exists() and names_in(root / "none") == []
        assert storage.stats_in(root / "none") == {}
        sizes = Sizes(root)
        assert [sizes.of(n) for n in ("a.txt", "sub/c.txt", "sub/x", "no/x")] == [5, 9, 0, 0]
        assert is_below(file, root) and not is_below(root, file)
        assert not is_below(StorePath("s3://results/tree2/a"), root)
        for absent in (root / "none").read_bytes, (root / "none").stat, (root / "none").unlink:
            with pytest.raises(FileNotFoundError):
                absent()
        with storage.draft_of(root / "new") as draft:
            draft.write_text("whole")
        assert (root / "new").read_bytes() == b"whole"
        with pytest.raises(RuntimeError), storage.draft_of(root / "half") as draft:
            draft.write_text("half")
            raise RuntimeError
        assert sorted(names_in(root)) == ["a.txt", "b.json", "new", "sub"]
        (root / "new").unlink()
        (root / "new").unlink(missing_ok=True)
    assert not is_below(StorePath("s3://results/tree/../x"), StorePath("s3://results/tree"))
    with pytest.raises(StorageError, match="1024 bytes"):
        (StorePath("s3://results") / ("ä" * 600)).write_bytes(b"")
