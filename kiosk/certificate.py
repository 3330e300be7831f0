"""The server's certificate: read from files, and again whenever they have changed."""

from __future__ import annotations

import logging
import os
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from kiosk.errors import PermanentError

log = logging.getLogger(__name__)


class Certificate:
    """A certificate and its key, for both ports of the server.

    New files are taken at the next handshake, once the two fit together; until then, and when they
    never do, the ones before stay. So a certificate is renewed by replacing its files, in either
    order, without a restart.

    Args:
        chain_file: the certificate and those between it and its authority, in PEM.
        key_file: its private key, in PEM, without a password.

    Raises:
        PermanentError: the files cannot be read or do not fit.
    """

    def __init__(self, chain_file: Path, key_file: Path) -> None:
        self._files = (chain_file, key_file)
        self._lock = threading.Lock()  # gRPC asks from threads of its own
        try:
            self._seen = self._state()
            self._chain, self._key, self._context = self._read()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise PermanentError(
                f"The certificate '{chain_file}' with the key '{key_file}' cannot be used: {error}."
                " Both are PEM files that belong together, the key without a password"
                " (KIOSK_LISTEN__TLS_CERT_FILE, KIOSK_LISTEN__TLS_KEY_FILE)."
            ) from error
        self.web_context = _context(*self._files)
        self.web_context.sni_callback = self._on_hello

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Credentials that look for a new certificate at every handshake."""
        return grpc.dynamic_ssl_server_credentials(
            self._grpc_configuration(), self._grpc_configuration
        )

    def _grpc_configuration(self) -> grpc.ServerCertificateConfiguration:
        self._refresh()
        with self._lock:
            return grpc.ssl_server_certificate_configuration([(self._key, self._chain)])

    def _on_hello(self, connection: Any, name: str | None, context: ssl.SSLContext) -> None:
        """A client of the web port says hello, with or without a name."""
        self._refresh()
        with self._lock:
            connection.context = self._context

    def _refresh(self) -> None:
        try:
            with self._lock:
                state = self._state()
                if state == self._seen:
                    return
                self._seen = state  # tried once; two that do not fit are not tried at every hello
                self._chain, self._key, self._context = self._read()
                log.info("took a new certificate from %s", self._files[0])
        except (OSError, ValueError) as error:
            log.warning("the new certificate in %s is not taken: %s", self._files[0], error)

    def _state(self) -> Sequence[Any]:
        """Differs when one of the files is another; links of Kubernetes are followed."""
        found = [os.stat(file) for file in self._files]
        return [(item.st_ino, item.st_mtime_ns, item.st_size) for item in found]

    def _read(self) -> tuple[bytes, bytes, ssl.SSLContext]:
        context = _context(*self._files)  # first: it checks that they fit
        chain, key = (file.read_bytes() for file in self._files)
        return chain, key, context


def _context(chain_file: Path, key_file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Without a password given, OpenSSL would ask for one on the terminal.
    context.load_cert_chain(chain_file, key_file, password="")
    context.set_alpn_protocols(["http/1.1"])
    return context
