"""Checksums that are sent along with some bytes, to be checked before the bytes count."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from kiosk.errors import InvalidRequest

# Name -> bytes of its digest. Damage on the way is what they find, not forgery.
DIGEST_BYTES = {"sha1": 20, "sha256": 32, "md5": 16}


@dataclass(frozen=True)
class Checksum:
    """The digest that some bytes should have."""

    algorithm: str
    digest: bytes

    @classmethod
    def parsed(cls, text: str) -> Checksum:
        """Of an algorithm's name and the digest in base64: `md5 1B2M2Y8AsgTpgAmY7PhCfg==`.

        Raises InvalidRequest.
        """
        algorithm, _, coded = text.strip().partition(" ")
        if algorithm not in DIGEST_BYTES:
            raise InvalidRequest(
                f"There is no checksum '{algorithm[:20]}'. Take one of"
                f" {', '.join(DIGEST_BYTES)}, or send none.",
                reason="UNKNOWN_CHECKSUM",
                field="Upload-Checksum",
            )
        try:
            digest = base64.b64decode(coded.strip(), validate=True)
        except ValueError:
            digest = b""
        if len(digest) != DIGEST_BYTES[algorithm]:
            raise InvalidRequest(
                f"The checksum is not a digest of {algorithm} in base64.", field="Upload-Checksum"
            )
        return cls(algorithm, digest)

    def hasher(self) -> Any:
        """A fresh hash object of `hashlib`."""
        return hashlib.new(self.algorithm, usedforsecurity=False)

    def check(self, hasher: Any) -> None:
        """Raise InvalidRequest (CHECKSUM_MISMATCH) unless the bytes that were hashed fit."""
        if hasher.digest() != self.digest:
            raise InvalidRequest(
                "The bytes were damaged on their way: their checksum is another one. None of them"
                " were kept; send them again.",
                reason="CHECKSUM_MISMATCH",
            )
