"""MAGE-Net as restoration: sense what is wrong, and undo it in reverse order of the light path."""
