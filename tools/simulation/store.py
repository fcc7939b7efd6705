"""A store and the way to it: requests travel, are lost, arrive late, and are answered or not."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

from magenet_batch.storage import ConditionsUnsupportedError, Versioned
from simulation.world import Process, World

TIMEOUT_S = 30.0
TRIES = 2
_FILE, _NONE, _FOLDER = (SimpleNamespace(name=n) for n in ("File", "NotFound", "Directory"))


class Stored(NamedTuple):
    """An object, and when it was put by the store's clock."""

    data: bytes
    changed: float


@dataclass
class Trouble:
    """What is wrong with the network of a host.

    Attributes:
        lost_until: requests and answers are lost until then.
        deaf_until: answers are lost until then.
        slow_until: requests and answers are slow until then.
        slow_by: by at most this many seconds.
    """

    lost_until: float = 0.0
    deaf_until: float = 0.0
    slow_until: float = 0.0
    slow_by: float = 0.0


@dataclass
class Server:
    """The store.

    Attributes:
        world: the world.
        conditional: whether it has conditional puts.
        lag: listings may show a state that is this many seconds old.
        before_put: called with the key, what is there and what will be; checks the job's promises.
    """

    world: World
    conditional: bool = True
    lag: float = 0.0
    before_put: Callable[[str, Stored | None, bytes | None], None] = lambda *_: None
    objects: dict[str, Stored] = field(default_factory=dict)
    trouble: dict[str, Trouble] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._clock = 1e9
        self._before: list[tuple[float, dict[str, Stored]]] = []
        self._random = self.world.random("store")

    @property
    def now(self) -> float:
        """The store's clock: seconds since 1970."""
        return self._clock + self.world.now

    def get(self, key: str) -> Stored:
        """An object; raises FileNotFoundError."""
        if key not in self.objects:
            raise FileNotFoundError(key)
        return self.objects[key]

    def put(self, key: str, data: bytes) -> None:
        """Put an object."""
        self._change(key, data)

    def put_if(self, key: str, data: bytes, over: str | None) -> str | None:
        """Put an object if it is in a state."""
        there = self.objects.get(key)
        if (None if there is None else etag(there.data)) != over:
            return None
        self._change(key, data)
        return etag(data)

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        if key in self.objects:
            self._change(key, None)

    def list(self, folder: str) -> dict[str, Stored]:
        """Objects below a folder, perhaps as they were before."""
        prefix = f"{folder}/"
        shown = self.objects
        if self.lag:
            since = self.world.now - self._random.uniform(0, self.lag)
            shown = next((old for time, old in self._before if time > since), shown)
        return {k.removeprefix(prefix): v for k, v in shown.items() if k.startswith(prefix)}

    def _change(self, key: str, data: bytes | None) -> None:
        self.before_put(key, self.objects.get(key), data)
        if self.lag:
            self._before.append((self.world.now, dict(self.objects)))
            self._before = [b for b in self._before if b[0] > self.world.now - self.lag]
        if data is None:
            del self.objects[key]
        else:
            # whole seconds, as in HTTP
            self.objects[key] = Stored(data, float(int(self.now)))


def etag(data: bytes) -> str:
    """What names a state of an object: a hash of its content, as in S3."""
    return hashlib.md5(data).hexdigest()


class Wire:
    """How one process reaches the store: both the files of `pyarrow.fs` and conditional puts.

    Args:
        process: the process.
        server: the store.
    """

    def __init__(self, process: Process, server: Server) -> None:
        self._process, self._server = process, server

    def files(self, scheme: str, *, late: bool = True) -> Any:
        return self

    def conditional(self, scheme: str, bucket: str) -> Any:
        if not self._server.conditional:
            raise ConditionsUnsupportedError("no conditional puts", why="none are simulated")
        return _Conditional(self, bucket)

    def get_file_info(self, wanted: Any) -> Any:
        if isinstance(wanted, str):
            return self._info(wanted)
        found = self.ask(lambda store: store.list(wanted.base_dir))
        folders = {name.partition("/")[0] for name in found if "/" in name}
        return [
            *(_info(name, _FILE, stored) for name, stored in found.items() if "/" not in name),
            *(_info(name, _FOLDER, None) for name in sorted(folders)),
        ]

    def _info(self, key: str) -> Any:
        def look(store: Server) -> Any:
            stored = store.objects.get(key)
            if stored is not None:
                return _info(key, _FILE, stored)
            below = any(name.startswith(f"{key}/") for name in store.objects)
            return _info(key, _FOLDER if below else _NONE, None)

        return self.ask(look)

    def open_input_file(self, key: str) -> io.BytesIO:
        return io.BytesIO(self.ask(lambda store: store.get(key)).data)

    def open_output_stream(self, key: str, *, metadata: dict[str, str]) -> _Upload:
        return _Upload(self, key)

    def delete_file(self, key: str) -> None:
        self.ask(lambda store: store.delete(key))

    def ask(self, request: Callable[[Server], Any]) -> Any:
        """Send a request and wait for the answer; repeat it if there is none.

        Raises:
            OSError: there is no answer, or the answer is that there is no such object.
        """
        for _ in range(TRIES):
            answer = self._send(request)
            if answer is not None:
                if isinstance(answer[0], OSError):
                    raise answer[0]
                return answer[0]
        raise TimeoutError("the store did not answer")

    def _send(self, request: Callable[[Server], Any]) -> tuple[Any] | None:
        process, server, world = self._process, self._server, self._process.world
        wake = process.waker()
        answers: list[tuple[Any] | None] = []

        def settle(answer: tuple[Any] | None) -> None:
            if not answers:
                answers.append(answer)
                wake()

        def arrive() -> None:
            try:
                made = (request(server),)
            except OSError as error:
                made = (error,)
            world.step()
            back = self._travel(answer=True)
            if back is not None:
                world.later(back, lambda: settle(made))

        there = self._travel(answer=False)
        if there is not None:
            world.later(there, arrive)
        world.later(TIMEOUT_S, lambda: settle(None))
        process.wait()
        return answers[0]

    def _travel(self, *, answer: bool) -> float | None:
        """Seconds that a message takes; None if it is lost."""
        now, random = self._process.world.now, self._process.random
        trouble = self._server.trouble.setdefault(self._process.host, Trouble())
        if now < trouble.lost_until or (answer and now < trouble.deaf_until):
            return None
        seconds = random.uniform(0.005, 0.06)
        if now < trouble.slow_until:
            seconds += random.uniform(0, trouble.slow_by)
        return seconds


class _Upload(io.BytesIO):
    def __init__(self, wire: Wire, key: str) -> None:
        super().__init__()
        self._wire, self._key = wire, key

    def __exit__(self, kind: Any, *rest: Any) -> None:
        data = self.getvalue()
        if kind is None:
            self._wire.ask(lambda store: store.put(self._key, data))


class _Conditional:
    def __init__(self, wire: Wire, bucket: str) -> None:
        self._wire, self._bucket = wire, bucket

    def read(self, key: str) -> Versioned:
        found = self._wire.ask(lambda store: store.get(f"{self._bucket}/{key}"))
        return Versioned(found.data, etag(found.data), found.changed)

    def put(self, key: str, data: bytes, *, over: str | None) -> str | None:
        name = f"{self._bucket}/{key}"
        made: str | None = self._wire.ask(lambda store: store.put_if(name, data, over))
        return made


def _info(name: str, kind: Any, stored: Stored | None) -> Any:
    size, changed = (len(stored.data), stored.changed) if stored else (0, 0.0)
    return SimpleNamespace(
        base_name=name.rpartition("/")[2], type=kind, size=size, mtime_ns=int(changed * 1e9)
    )
