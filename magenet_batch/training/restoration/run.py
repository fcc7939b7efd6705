"""The training of a restoring network, part by part, in the order in which parts need each other."""

from __future__ import annotations
