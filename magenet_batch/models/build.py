"""The network that a configuration describes."""

from __future__ import annotations

from magenet_batch.models.config import MageNetConfig
from magenet_batch.models.magenet import MageNet
from magenet_batch.models.unet import UNet

Network = MageNet | UNet
"""Everything that can be trained and put into an `Enhancer`."""


def build_network(config: MageNetConfig) -> Network:
    """A new network, which changes nothing until it is trained."""
    return UNet(config) if config.architecture == "unet" else MageNet(config)
