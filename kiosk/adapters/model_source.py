"""A model repository in a folder, an S3 bucket or a Google Cloud Storage bucket, to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from kiosk.adapters.buckets import open_bucket
from kiosk.adapters.store_errors import asking
from kiosk.errors import PermanentError
from kiosk.ports import SourceFile

CHUNK_BYTES = 4 * 1024 * 1024


class ObstoreModelSource:
    """`ports.ModelSource` over a folder path, `s3://bucket/prefix` or `gs://bucket/prefix`.

    Args:
        retry_s: for so long a request is sent again before the bucket counts as away.

    Raises PermanentError when a folder is not there or an address is none.
    """

    def __init__(self, url: str, retry_s: float = 30.0) -> None:
        try:
            if "://" in url:
                self._store: Any = open_bucket(url, retry_s)
            elif Path(url).is_dir():
                self._store = LocalStore(url)
            else:
                raise PermanentError(f"There is no folder {url} to copy models from.")
        except (BaseError, ValueError) as error:
            raise PermanentError(
                f"'{url}' cannot be opened: {str(error).splitlines()[0]}. Give a folder,"
                " s3://bucket/prefix or gs://bucket/prefix."
            ) from error

    async def files(self) -> list[SourceFile]:
        with asking("list", "models"):
            found = [
                SourceFile(str(item["path"]), int(item["size"]), _mark(item))
                async for batch in obstore.list(self._store)
                for item in batch
            ]
        return sorted(found, key=lambda file: file.path)

    async def fetch(self, file: SourceFile, target: BinaryIO) -> None:
        with asking("read", file.path):
            answer = await obstore.get_async(self._store, file.path)
            async for chunk in answer.stream(min_chunk_size=CHUNK_BYTES):
                target.write(chunk)


def _mark(item: Any) -> str:
    return str(item["e_tag"] or item["last_modified"])
