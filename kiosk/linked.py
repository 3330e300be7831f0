"""Addresses that an upload may point to, in place of bytes.

The kiosk reads them with its own rights, so only what lies below an allowed address is taken.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from urllib.parse import SplitResult, unquote, urlsplit

from kiosk.errors import InvalidRequest

SCHEMES = ("file", "s3", "gs")
LONGEST_URL = 4096
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_url(url: str, allowed: Sequence[str]) -> None:
    """Raise InvalidRequest unless an address lies below one of the allowed ones.

    Args:
        url: file:///folder/image.tif, s3://bucket/key or gs://bucket/key.
        allowed: addresses of folders; none = no address is taken.
    """
    parts = _parts(url)
    if parts is None or parts.query or parts.fragment or "@" in parts.netloc:
        raise _refused(
            f"'{url[:200]}' is not an address that the kiosk reads; give s3://bucket/key,"
            " gs://bucket/key or file:///folder/image, or upload the file."
        )
    steps = unquote(parts.path).split("/")
    if ".." in steps or "." in steps:
        raise _refused(f"The address '{url[:200]}' must not have '.' or '..' in its path.")
    if not any(_is_below(parts.scheme, parts.netloc, unquote(parts.path), a) for a in allowed):
        raise _refused(
            f"This kiosk may not read '{url[:200]}'. Upload the file, or ask the kiosk's owner to"
            " allow that place (KIOSK_IMAGE_URLS)."
        )


def name_in(url: str) -> str:
    """What an address calls its file or folder: the last step of its path."""
    return unquote(url.rstrip("/").rpartition("/")[2])


def _parts(url: str) -> SplitResult | None:
    """The parts of an address; None for what is none of ours."""
    # Programs differ in what they make of control characters and of spaces around an address.
    if _CONTROL.search(unquote(url)) or url != url.strip() or len(url) > LONGEST_URL:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts if parts.scheme in SCHEMES and "://" in url else None


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
