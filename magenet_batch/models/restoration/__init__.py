"""MAGE-Net as restoration: sense what is wrong, undo it in the reverse order of the light."""
