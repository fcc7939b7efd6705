"""The hash that identifies content everywhere: in rows, records and names."""

from __future__ import annotations

import hashlib


def sha256_of(content: bytes | memoryview) -> str:
    """SHA-256 of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
