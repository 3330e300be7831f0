"""The word without which Triton answers nobody: kept by the kiosk, checked by Triton itself."""

from __future__ import annotations

from typing import Any

from tritonclient.grpc import InferenceServerClientPlugin

# Everything but health, which probes of a cluster ask for.
RESTRICTED = (
    *("inference", "metadata", "model-config", "model-repository", "shared-memory"),
    *("statistics", "trace", "logging"),
)
_KEY = "kiosk"


class TritonSecret(InferenceServerClientPlugin):  # type: ignore[misc]
    """Lets a client of Triton show the word with every request."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def __call__(self, request: Any) -> None:
        request.headers[f"triton-grpc-protocol-{_KEY}"] = self._secret


def restriction(secret: str) -> str:
    """The option of tritonserver that asks for the word."""
    return f"--grpc-restricted-protocol={','.join(RESTRICTED)}:{_KEY}={secret}"
