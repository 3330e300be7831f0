"""A model repository in a folder, an S3 bucket or a Google Cloud Storage bucket, to be read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from kiosk.adapters.store_errors import translated
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
        again = {"max_retries": 100, "retry_timeout": timedelta(seconds=retry_s)}
        try:
            if "://" in url:
                self._store: Any = from_url(cast(Any, url), retry_config=cast(Any, again))
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
        try:
            found = [
                SourceFile(str(item["path"]), int(item["size"]), _mark(item))
                async for batch in obstore.list(self._store)
                for item in batch
            ]
        except (BaseError, OSError) as error:
            raise translated(error, "models") from error
        return sorted(found, key=lambda file: file.path)

    async def fetch(self, file: SourceFile, target: BinaryIO) -> None:
        try:
            answer = await obstore.get_async(self._store, file.path)
            async for chunk in answer.stream(min_chunk_size=CHUNK_BYTES):
                target.write(chunk)
        except (BaseError, OSError) as error:
            raise translated(error, file.path) from error


def _mark(item: Any) -> str:
    return str(item["e_tag"] or item["last_modified"])
