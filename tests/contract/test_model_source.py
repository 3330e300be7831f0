"""What every `ModelSource` promises: the one in memory, a folder, a bucket."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kiosk.adapters.model_source import ObstoreModelSource
from kiosk.adapters.object_store import ObstoreObjectStore
from kiosk.errors import NotFound, PermanentError
from kiosk.ports import ModelSource, SourceFile
from kiosk.testing import MemoryModelSource


@dataclass
class Shelf:
    """A source, and how something is put there."""

    source: ModelSource
    put: Callable[[str, bytes], Awaitable[None]]


@pytest.fixture(params=["memory", "folder", "bucket"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    if request.param == "memory":
        source = MemoryModelSource()

        async def put(path: str, data: bytes) -> None:
            source.contents[path] = data

        return Shelf(source, put)
    url = str(tmp_path)
    if request.param == "bucket":
        url = f"{request.getfixturevalue('bucket')}/models"
    return Shelf(ObstoreModelSource(url), ObstoreObjectStore(url).put)


async def fetched(source: ModelSource, file: SourceFile) -> bytes:
    target = io.BytesIO()
    await source.fetch(file, target)
    return target.getvalue()


async def test_files_are_listed_and_fetched(shelf: Shelf) -> None:
    assert await shelf.source.files() == []
    contents = {"m/1/model.onnx": bytes(range(256)) * 40_000, "m/config.pbtxt": b"", "top": b"x"}
    for path, data in reversed(contents.items()):
        await shelf.put(path, data)
    files = await shelf.source.files()
    assert [(file.path, file.size_bytes) for file in files] == [
        (path, len(contents[path])) for path in sorted(contents)
    ]
    for file in files:
        assert await fetched(shelf.source, file) == contents[file.path]


async def test_a_mark_changes_with_the_content(shelf: Shelf) -> None:
    await shelf.put("m/1/model.onnx", b"one")
    await shelf.put("m/2/model.onnx", b"two")
    before = await shelf.source.files()
    assert await shelf.source.files() == before
    await shelf.put("m/2/model.onnx", b"2nd")
    after = await shelf.source.files()
    assert after[0] == before[0]
    assert after[1].mark != before[1].mark


async def test_what_is_gone_is_not_there(shelf: Shelf) -> None:
    with pytest.raises(NotFound):
        await shelf.source.fetch(SourceFile("m/1/model.onnx", 1, ""), io.BytesIO())


@pytest.mark.parametrize("url", ["/no/such/folder", "ftp://host/models", "s3://"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(PermanentError, match="folder"):
        ObstoreModelSource(url)
