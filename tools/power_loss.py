"""Power loss: cut the power after every operation of a small job, and run the command again.

    python tools/power_loss.py [--what fresh append] [--sample 20 --seed 1]
        [-o tools/results/power_loss.json]

A job on five tiny images (that of `fault_sweep.py`) is recorded: every file, folder, name and
flush below its output folder. From that follows, for a power cut after each operation, what a disk
may hold: at least what was flushed, and of the rest anything. A file keeps the content of its last
flush; a name in a folder, or its removal, is certain only when that folder was flushed, and else
may be there or not, independently of all others. Of these, `losses_of` tries some: nothing else is
there; all names but no content; everything; only the newest name; and names drawn at random.

In what is left no row may speak of a file that is not there as the row says. Then the same command
runs again, without `--retry-failed`, and must end with the outputs and rows of an undisturbed job,
byte for byte. After the last operation, when the command had said that all is done, even the
greatest loss must leave every output, row and record.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from fault_sweep import Case, Sweep
from operations import Operations, conclude, parser_of

from magenet_batch.storage import sha256_of

DISK, OUT = "disk", "disk/out"
REPLACED = ("b/d.png",)
"""Images that the appended job enhances again: until then, their rows may be outdated."""
Keep = Callable[[int, int], bool]
"""Whether a change of a name lasts although nothing flushed it: its number, that of the cut."""


@dataclass(frozen=True)
class Loss:
    """What a power cut takes of what was not flushed.

    Attributes:
        name: for people.
        keep: which names last.
        content: share of the content that was written and not flushed, 0..1.
    """

    name: str
    keep: Keep
    content: float


def losses_of(cut: int, seed: int) -> list[Loss]:
    """The losses that are tried at a cut."""

    def drawn(change: int, at: int) -> bool:
        return random.Random(f"{seed} {at} {change}").random() < 0.5

    return [
        Loss("all", lambda change, at: False, 0.0),
        Loss("content", lambda change, at: True, 0.0),
        Loss("nothing", lambda change, at: True, 1.0),
        Loss("all but the newest name", lambda change, at: change == at, 0.5),
        Loss("some", drawn, random.Random(f"{seed} {cut}").choice((0.0, 0.5, 1.0))),
    ]


@dataclass
class Folder:
    """A folder: the names that last, and later changes, each with its number."""

    lasting: dict[str, int] = field(default_factory=dict)
    changes: list[tuple[int, dict[str, int | None]]] = field(default_factory=list)

    def names(self, keep: Keep, cut: int) -> dict[str, int]:
        """The names after a power cut."""
        found: dict[str, int | None] = dict(self.lasting)
        for number, change in self.changes:
            if keep(number, cut):
                found.update(change)
        return {name: node for name, node in found.items() if node is not None}


@dataclass
class File:
    """A file: the content that lasts, and the latest; or where a link leads."""

    lasting: bytes = b""
    latest: bytes = b""
    link: str | None = None


class Disk:
    """What a disk holds, in memory and for certain."""

    def __init__(self) -> None:
        self.nodes: list[Folder | File] = [Folder()]

    def find(self, path: str) -> int | None:
        """The node of a path such as `out/run.json`, as running processes see it."""
        node: int | None = 0
        for name in path.split("/") if path else []:
            folder = self.nodes[node or 0]
            if not isinstance(folder, Folder):
                return None
            node = folder.names(lambda *_: True, 0).get(name)
            if node is None:
                return None
        return node

    def apply(self, number: int, step: tuple[Any, ...]) -> None:
        """Do one recorded operation; `number` names it."""
        what, *given = step
        if what == "make":
            path, node = given
            self.nodes.append(node)
            self._name(number, {path: len(self.nodes) - 1})
        elif what == "move":
            self._name(number, {given[0]: None, given[1]: self.find(given[0])})
        elif what == "link":
            self._name(number, {given[1]: self.find(given[0])})
        elif what == "unlink":
            self._name(number, {given[0]: None})
        else:
            self._content(what, *given)

    def _content(self, what: str, path: str, content: bytes = b"") -> None:
        found = self.find(path)
        if found is None:
            return  # a file whose name is gone: nothing of it lasts
        node = self.nodes[found]
        if isinstance(node, File):
            node.latest = content
            if what == "flush":
                node.lasting = content
        elif what == "flush":
            node.lasting, node.changes = node.names(lambda *_: True, 0), []

    def _name(self, number: int, change: dict[str, int | None]) -> None:
        """Change names; those of one folder change together, as the disk does it."""
        folders: dict[str, dict[str, int | None]] = {}
        for path, node in change.items():
            folder, _, name = path.rpartition("/")
            folders.setdefault(folder, {})[name] = node
        for path, names in folders.items():
            folder_node = self.nodes[self.find(path) or 0]
            assert isinstance(folder_node, Folder)
            folder_node.changes.append((number, names))

    def after(self, loss: Loss, cut: int) -> dict[str, bytes | str | None]:
        """What is there after a power cut: content by path; a link's target; None for folders."""
        found: dict[str, bytes | str | None] = {}

        def walk(node: Folder, above: str) -> None:
            for name, number in sorted(node.names(loss.keep, cut).items()):
                below = self.nodes[number]
                if isinstance(below, Folder):
                    found[f"{above}{name}"] = None
                    walk(below, f"{above}{name}/")
                elif below.link is not None:
                    found[f"{above}{name}"] = below.link
                elif below.latest == below.lasting:
                    found[f"{above}{name}"] = below.lasting
                else:
                    part = below.latest[: int(len(below.latest) * loss.content)]
                    found[f"{above}{name}"] = part or below.lasting

        top = self.nodes[0]
        assert isinstance(top, Folder)
        walk(top, "")
        return found


class Recorder(Operations):
    """Records what changes below a folder.

    Args:
        folder: the folder; what it holds at the beginning lasts.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._top = folder
        self.steps: list[tuple[Any, ...]] = []
        self._handles: dict[int, str] = {}
        self._known = {""}
        self._lock = threading.RLock()
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            content = b"" if path.is_dir() else path.read_bytes()
            self._make(name, Folder() if path.is_dir() else File(content, content))
        self.steps += [("flush", name) for name in ["", *self._known]
                       if (folder / name).is_dir()]  # fmt: skip
        self.before_it = len(self.steps)

    def opened(self, path: str, handle: int) -> None:
        with self._lock:
            self._handles[handle] = name = self._named(path)
            if name not in self._known:
                self._make(name, File())

    def after(self, name: str, *given: Any) -> None:
        with self._lock:
            if name in ("replace", "rename", "link"):
                source, target = (self._named(path) for path in given[:2])
                self.steps.append(("link" if name == "link" else "move", source, target))
                self._known.add(target)
                if name != "link":
                    self._known.discard(source)
            elif name == "unlink":
                self.steps.append(("unlink", self._named(given[0])))
                self._known.discard(self._named(given[0]))
            elif name == "mkdir":
                self._make(self._named(given[0]), Folder())
            elif name == "symlink":
                self._make(self._named(given[1]), File(link=os.fspath(given[0])))
            elif name in ("write", "ftruncate", "fsync") and given[0] in self._handles:
                what = "flush" if name == "fsync" else "write"
                self.steps.append((what, self._handles[given[0]], _content_of(given[0])))

    def found(self) -> Any:
        return self.steps, self.before_it

    def _make(self, name: str, node: Folder | File) -> None:
        self.steps.append(("make", name, node))
        self._known.add(name)

    def _named(self, path: str | os.PathLike[str]) -> str:
        name = Path(os.fspath(path)).relative_to(self._top).as_posix()
        return "" if name == "." else name


def _content_of(handle: int) -> bytes:
    """What the kernel holds of an open file: what is still in Python's buffer is not there."""
    path = Path(f"/proc/self/fd/{handle}")
    return b"" if path.is_dir() else path.read_bytes()


def recorder_of(root: Path, case: Case, out: str) -> Recorder:
    return Recorder(root / DISK)


def place(found: dict[str, bytes | str | None], folder: Path) -> None:
    """Make a folder hold what was left after a power cut."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in found.items():
        path = folder / name
        if content is None:
            path.mkdir()
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.symlink_to(content)


def unbacked(out: Path, *, but: tuple[str, ...] = ()) -> list[str]:
    """Images whose rows speak of outputs that are not there as they say."""
    wrong = []
    for file in sorted(out.glob("rows/part-*.parquet")):
        for row in pq.read_table(file).to_pylist():
            output = out / str(row["output"])
            well = output.is_file() and sha256_of(output.read_bytes()) == row["output_sha256"]
            if row["status"] == "enhanced" and not well and row["image_id"] not in but:
                wrong.append(row["image_id"])
    return wrong


class Cuts:
    """Power cuts of one command.

    Args:
        root: an empty folder.
        what: `fresh` or `append`.
    """

    def __init__(self, root: Path, what: str) -> None:
        self._trials = Sweep(root, out=OUT)
        self._disk, self._what = root / DISK, what
        self._case = Case("local", what, "kill", 0, retry=False)
        self._disk.mkdir()
        self._trials.points("local", what)
        self._trials.start("local", what)
        code, (self.steps, self.first) = self._trials.run(self._case, watch=recorder_of)
        if code:
            raise SystemExit(f"the recorded job ended with exit code {code}")

    def after(self, cut: int, loss: Loss) -> dict[str, bytes | str | None]:
        """What is there after a power cut behind a number of operations."""
        disk = Disk()
        for number, step in enumerate(self.steps[:cut]):
            disk.apply(number + 1, _copied(step))
        return disk.after(loss, cut)

    def recorded_all(self) -> bool:
        """Whether the record, without any loss, is what is in the folder now."""
        found = self.after(len(self.steps), losses_of(0, 0)[2])
        there = {
            path.relative_to(self._disk).as_posix(): None if path.is_dir() else path.read_bytes()
            for path in self._disk.rglob("*")
        }
        return found == there

    def try_cut(self, found: dict[str, bytes | str | None]) -> str | None:
        """Run the command again on what was left.

        Returns:
            What is wrong; None if nothing is.
        """
        place(found, self._disk)
        but = REPLACED if self._what == "append" else ()
        if wrong := unbacked(self._disk / "out", but=but):
            return f"rows without their outputs: {', '.join(wrong)}"
        return self._trials.try_again(self._case)

    def lost_at_the_end(self) -> list[str]:
        """What the greatest loss takes although the command had said that all is done."""
        last = len(self.steps)
        greatest, none = losses_of(last, 0)[0], losses_of(last, 0)[2]
        left, whole = self.after(last, greatest), self.after(last, none)
        promised = {name: content for name, content in whole.items()
                    if not name.endswith((".lock", "log.jsonl"))}  # fmt: skip
        return sorted(name for name, content in promised.items()
                      if name not in left or left[name] != content)  # fmt: skip


def _copied(step: tuple[Any, ...]) -> tuple[Any, ...]:
    """A step whose node is its own."""
    if step[0] != "make":
        return step
    node = step[2]
    new = Folder() if isinstance(node, Folder) else File(node.lasting, node.latest, node.link)
    return ("make", step[1], new)


def replay(cuts: Cuts, *, what: str, sample: int | None, seed: int) -> dict[str, Any]:
    """Cut the power at every operation, or at a random sample, with every loss."""
    if not cuts.recorded_all():
        raise SystemExit("the record is not what the job did")
    kinds = Counter(step[0] for step in cuts.steps[cuts.first :])
    points = [(cut, loss) for cut in range(cuts.first, len(cuts.steps) + 1)
              for loss in losses_of(cut, seed)]  # fmt: skip
    if sample is not None and sample < len(points):
        points = random.Random(seed).sample(points, sample)
    wrong = [f"at the end, {name} was not on the disk" for name in cuts.lost_at_the_end()]
    seen: set[int] = set()
    for cut, loss in points:
        found = cuts.after(cut, loss)
        if (key := hash(tuple(found.items()))) in seen:
            continue
        seen.add(key)
        if problem := cuts.try_cut(found):
            wrong.append(f"after {cut - cuts.first}, losing {loss.name}: {problem}")
            print(f"{what}: {wrong[-1]}", file=sys.stderr, flush=True)
    return {
        "what": what, "operations": dict(sorted(kinds.items())), "cuts": len(points),
        "different": len(seen), "failed": len(wrong), "problems": wrong,
    }  # fmt: skip


def main() -> None:
    given = parser_of(__doc__).parse_args()
    found = []
    for what in given.what:
        with tempfile.TemporaryDirectory() as folder:
            cuts = Cuts(Path(folder), what)
            one = replay(cuts, what=what, sample=given.sample, seed=given.seed)
        found.append(one)
        operations = sum(one["operations"].values())
        print(f"{what}: {operations} operations, {one['cuts']} cuts, {one['different']} different "
              f"disks, {one['failed']} failed", flush=True)  # fmt: skip
    conclude(found, given.output)


if __name__ == "__main__":
    main()
