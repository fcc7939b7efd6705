"""magenet: train MAGE-Net and enhance whole archives of fundus photographs."""

__version__ = "0.1.0"
