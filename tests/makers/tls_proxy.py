"""A reverse proxy that speaks TLS, as hospitals put one in front of their servers."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from pathlib import Path

_CHUNK = 1 << 16


class TlsProxy:
    """Decrypts connections on a free port of loopback, and passes them on to another port.

    Args:
        port: of a server on loopback, without TLS.
        certificate: PEM file of a certificate with its key.

    Attributes:
        port: where it listens.
        connections: number of connections that were encrypted rightly.
    """

    def __init__(self, port: int, *, certificate: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    client = context.wrap_socket(self.request, server_side=True)
                except OSError:  # the client does not trust the certificate
                    return
                proxy.connections += 1
                with client, socket.create_connection(("127.0.0.1", port)) as server:
                    back = threading.Thread(target=_pass_on, args=(server, client))
                    back.start()
                    _pass_on(client, server)
                    back.join()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self.connections = 0
        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Accept no more connections."""
        self._server.shutdown()
        self._server.server_close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Copy what arrives until one side closes; then close the other."""
    try:
        while data := source.recv(_CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
