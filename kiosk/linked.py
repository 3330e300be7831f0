"""Addresses that an upload may point to, in place of bytes.

The kiosk reads them with its own rights, so only what lies below an allowed address is taken.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from kiosk.errors import InvalidRequest

SCHEMES = ("file", "s3", "gs")


def check_url(url: str, allowed: Sequence[str]) -> None:
    """Raise InvalidRequest unless an address lies below one of the allowed ones.

    Args:
        url: file:///folder/image.tif, s3://bucket/key or gs://bucket/key.
        allowed: addresses of folders; none = no address is taken.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or parts.query or parts.fragment or "@" in parts.netloc:
        raise _refused(
            f"'{url[:200]}' is not an address that the kiosk reads; give s3://bucket/key,"
            " gs://bucket/key or file:///folder/image, or upload the file."
        )
    steps = unquote(parts.path).split("/")
    if ".." in steps or "." in steps or "\0" in parts.path:
        raise _refused(f"The address '{url[:200]}' must not have '.' or '..' in its path.")
    if not any(_is_below(parts.scheme, parts.netloc, unquote(parts.path), a) for a in allowed):
        raise _refused(
            f"This kiosk may not read '{url[:200]}'. Upload the file, or ask the kiosk's owner to"
            " allow that place (KIOSK_IMAGE_URLS)."
        )


def _is_below(scheme: str, host: str, path: str, allowed: str) -> bool:
    place = urlsplit(allowed)
    if (place.scheme, place.netloc) != (scheme, host):
        return False
    folder = unquote(place.path).rstrip("/")
    if scheme == "file":  # a link must not lead out of the folder
        folder, path = os.path.realpath(folder or "/").rstrip("/"), os.path.realpath(path)
    return path.rstrip("/") == folder or path.startswith(folder + "/")


def _refused(sentence: str) -> InvalidRequest:
    return InvalidRequest(sentence, reason="URL_NOT_ALLOWED", field="url")
