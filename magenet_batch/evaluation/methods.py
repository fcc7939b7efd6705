"""The methods that are compared, by name: classical ones, and networks by their weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from magenet_batch.errors import UsageError, nearest
from magenet_batch.evaluation.baselines import BASELINES, Method
from magenet_batch.inference.enhancer import Enhancer

OURS = "magenet"


def build_methods(
    weights: str, *, against: Sequence[str], device: str, precision: str = "auto"
) -> tuple[dict[str, Method], dict[str, str]]:
    """Everything that is compared: doing nothing first, the weights last.

    Args:
        weights: a shipped name or a file.
        against: names of `BASELINES`, or `NAME=WEIGHTS` for another network.
        device: of the networks.
        precision: of the networks.

    Returns:
        Methods by name, and the hashes of the networks' weights by name.

    Raises:
        UsageError: if there is no such method.
    """
    methods: dict[str, Method] = {"identity": BASELINES["identity"]}
    hashes: dict[str, str] = {}
    for word in [*against, f"{OURS}={weights}"]:
        name, equals, file = word.strip().partition("=")
        if equals:
            enhancer = Enhancer.load(file, device=device, precision=precision)
            methods[name] = _network(enhancer)
            hashes[name] = enhancer.weights_hash
        elif name in BASELINES:
            methods[name] = BASELINES[name]
        elif name:
            hint = " or NAME=FILE for other weights" if not Path(name).suffix else ""
            raise UsageError(f"No method is called '{name}': {nearest(name, BASELINES)}{hint}.")
    return methods, hashes


def _network(enhancer: Enhancer) -> Method:
    return lambda pixels, fov: enhancer.enhance(pixels, fov).pixels
