"""DICOMweb servers: search (QIDO-RS), retrieve (WADO-RS) and store (STOW-RS).

Addresses are checked without the library; it is imported when a server is first asked. Credentials
come from the environment; none of them is stored or logged.
"""

from __future__ import annotations

from magenet_batch.dicomweb.address import Address, Instance, is_dicomweb, masked, parse_address
from magenet_batch.dicomweb.errors import DicomwebError
from magenet_batch.dicomweb.server import Server, connect_server

__all__ = [
    "Address",
    "DicomwebError",
    "Instance",
    "Server",
    "connect_server",
    "is_dicomweb",
    "masked",
    "parse_address",
]
