"""Uploads by a tus client that is not ours, over a real port: whole, broken, resumed, damaged."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusUploadFailed
from tusclient.storage.filestorage import FileStorage
from tusclient.uploader.baseuploader import BaseUploader

from kiosk import uploads
from kiosk.authentication import Authentication
from kiosk.callers import LOCAL
from kiosk.jobs import Upload
from kiosk.settings import CHECKOUT
from kiosk.testing import FakeKiosk
from kiosk.web import WebServer

DATA = bytes(range(256)) * 4001
PIECE_BYTES = 100_000
CHUNK_BYTES = 250_000  # more than a piece


@pytest.fixture
async def tus(fake: FakeKiosk, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TusClient]:
    monkeypatch.setattr(uploads, "PIECE_BYTES", PIECE_BYTES)
    tiles = fake.tiles()
    frontend = CHECKOUT / "frontend"
    web = WebServer(fake.service, tiles, Authentication(), frontend, "127.0.0.1", 0)
    await web.start()
    yield TusClient(f"http://127.0.0.1:{web.port}/api/v1/uploads")
    await web.stop()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cells.tif"
    path.write_bytes(DATA)
    return path


def uploader(tus: TusClient, file: Path, **options: Any) -> Any:
    metadata = {"filename": "cells.tif", "sha256": hashlib.sha256(DATA).hexdigest()}
    return tus.uploader(str(file), chunk_size=CHUNK_BYTES, metadata=metadata, **options)


async def stored(fake: FakeKiosk, url: str) -> Upload:
    return await fake.service.uploads.get(url.rsplit("/", 1)[1], caller=LOCAL)


@pytest.mark.parametrize("checked", [False, True])
async def test_a_whole_file(fake: FakeKiosk, tus: TusClient, file: Path, checked: bool) -> None:
    sender = uploader(tus, file, upload_checksum=checked)
    await asyncio.to_thread(sender.upload)
    upload = await stored(fake, sender.url)
    assert (upload.complete, upload.size_bytes) == (True, len(DATA))
    assert upload.sha256 == hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize("checked", [False, True])
async def test_a_program_that_was_ended_goes_on_where_it_was(
    fake: FakeKiosk, tus: TusClient, file: Path, tmp_path: Path, checked: bool
) -> None:
    places = {
        "upload_checksum": checked,
        "store_url": True,
        "url_storage": FileStorage(str(tmp_path / "places.json")),
    }
    first = uploader(tus, file, **places)
    await asyncio.to_thread(first.upload_chunk)
    assert (await stored(fake, first.url)).offset_bytes == CHUNK_BYTES
    second = await asyncio.to_thread(uploader, tus, file, **places)
    assert (second.url, second.offset) == (first.url, CHUNK_BYTES)
    await asyncio.to_thread(second.upload)
    assert (await stored(fake, second.url)).complete


async def test_bytes_damaged_on_the_way_are_not_kept_and_are_sent_again(
    fake: FakeKiosk, tus: TusClient, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = uploader(tus, file, upload_checksum=True)
    await asyncio.to_thread(sender.upload_chunk)

    def another(self: BaseUploader) -> Any:
        return lambda data: hashlib.sha1(data + b"a bit", usedforsecurity=False)

    monkeypatch.setattr(BaseUploader, "checksum_algorithm", property(another))
    with pytest.raises(TusUploadFailed) as caught:
        await asyncio.to_thread(sender.upload_chunk)
    assert caught.value.status_code == 460
    assert (await stored(fake, sender.url)).offset_bytes == CHUNK_BYTES
    monkeypatch.undo()
    await asyncio.to_thread(sender.upload)
    assert (await stored(fake, sender.url)).complete
