"""Build the network that a configuration describes."""

from __future__ import annotations

import json
from typing import overload

from magenet_batch.models.config import MageNetConfig
from magenet_batch.models.magenet import MageNet
from magenet_batch.models.restoration.config import RestorationConfig
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.unet import UNet

TransformNetwork = MageNet | UNet
"""Networks that are trained as a whole and work in tiles."""

Network = TransformNetwork | Restorer
"""Everything that can be trained and loaded into an `Enhancer`."""


@overload
def build_network(config: MageNetConfig) -> TransformNetwork: ...
@overload
def build_network(config: RestorationConfig) -> Restorer: ...
def build_network(config: MageNetConfig | RestorationConfig) -> Network:
    """Build a new network, which is the identity until it is trained."""
    if isinstance(config, RestorationConfig):
        return Restorer(config)
    return UNet(config) if config.architecture == "unet" else MageNet(config)


def read_config(text: str) -> MageNetConfig | RestorationConfig:
    """Parse the configuration stored in a weights file, of any architecture.

    Args:
        text: JSON.

    Raises:
        ValueError: the text is not a valid configuration.
    """
    described = json.loads(text)
    if not isinstance(described, dict):
        raise ValueError("a configuration must be a table")
    if "sense" in described:
        light = described.get("light")
        if isinstance(light, dict) and light.get("statistics") is False:
            del light["statistics"]  # in weights older than known cameras
        return RestorationConfig.model_validate_json(json.dumps(described))
    if described.get("architecture") == "magenet":  # the name in weights older than `Restorer`
        described["architecture"] = "affine"
    return MageNetConfig.model_validate_json(json.dumps(described))
