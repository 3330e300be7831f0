"""A file at an address: file:///folder/file, s3://bucket/key or gs://bucket/key."""

from __future__ import annotations

from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from kiosk.adapters.store_reader import buffered
from kiosk.errors import NotFound, Outage


def open_url_file(url: str) -> BinaryIO:
    """The file at an address, read piece by piece. Raises NotFound and Outage."""
    folder, _, name = url.rpartition("/")
    try:
        parts = urlsplit(folder + "/")
        store: Any = (
            LocalStore(unquote(parts.path))
            if parts.scheme == "file"
            else from_url(cast(Any, folder))
        )
        path = unquote(urlsplit(url).path) if parts.scheme == "file" else ""
        return buffered(obstore.open_reader(store, unquote(name)), url[:200], path)
    except FileNotFoundError as error:
        raise NotFound(
            f"There is nothing at '{url[:200]}'; check the address.", reason="URL_NOT_FOUND"
        ) from error
    except (BaseError, OSError, ValueError) as error:
        raise Outage(f"'{url[:200]}' could not be read.") from error
