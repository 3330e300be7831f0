"""Images that kill or hang their readers: what their owners are told, and that others go on."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from image_makers import tiff
from zarr_makers import zip_of

from kiosk.adapters.decoder.decoding_files import DecodingImageFiles
from kiosk.callers import LOCAL
from kiosk.errors import ReaderFailed, TooLarge
from kiosk.image_info import TileAt
from kiosk.inspection import inspect_file
from kiosk.jobs import JobState
from kiosk.pipelines.context import OpenImages
from kiosk.pipelines.label_planes import small_pixels
from kiosk.ports import File, ImageEntry, ImageSource, Interruptible
from kiosk.reading import ReadOptions
from kiosk.settings import DecodingSettings, LimitSettings
from kiosk.testing import FakeKiosk, MemoryQueue, make_kiosk

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def files() -> Iterator[DecodingImageFiles]:
    """Readers that know the hostile formats."""
    with pytest.MonkeyPatch.context() as patch:
        known = os.environ.get("PYTHONPATH", ".")
        patch.setenv("PYTHONPATH", os.pathsep.join([known, str(HERE)]))
        made = DecodingImageFiles(LimitSettings(), DecodingSettings(), ["hostile_formats"])
        made.prepare()
        yield made
    made.close()


@pytest.fixture
def kiosk(files: DecodingImageFiles) -> FakeKiosk:
    return make_kiosk(files, queue=MemoryQueue(retry_delay_s=0.0))


def hostile(harm: str, step: str) -> bytes:
    return f"HOSTILE {harm} {step}".encode()


def spots() -> bytes:
    image = np.zeros((32, 32), np.uint16)
    image[10:20, 10:20] = 2000
    return tiff(image)


async def test_a_file_that_kills_its_reader_is_refused_at_once(kiosk: FakeKiosk) -> None:
    upload = await kiosk.upload(hostile("segfault", "open"), "evil.tif")
    with pytest.raises(ReaderFailed, match="SIGSEGV"):
        await kiosk.service.segment(upload_id=upload, model="bright", caller=LOCAL)
    with pytest.raises(ReaderFailed, match="SIGSEGV"):
        await kiosk.service.track(upload_id=upload, model="bright", caller=LOCAL)


@pytest.mark.parametrize(
    ("harm", "reason"), [("segfault", "SIGSEGV"), ("leave", "exit code 0"), ("babble", "no sense")]
)
async def test_planes_that_kill_their_readers_are_given_up_beside_jobs_that_go_on(
    kiosk: FakeKiosk, harm: str, reason: str
) -> None:
    evil = await kiosk.upload(hostile(harm, "plane"), "evil.tif")
    sound = await kiosk.upload(spots(), "sound.tif")
    bad = await kiosk.service.segment(upload_id=evil, model="bright", caller=LOCAL)
    good = await kiosk.service.segment(upload_id=sound, model="bright", caller=LOCAL)
    await kiosk.work()
    bad, good = await kiosk.queue.get(bad.id), await kiosk.queue.get(good.id)
    assert (bad.state, good.state) == (JobState.FAILED, JobState.SUCCEEDED)
    assert reason in bad.error
    assert "evil.tif" in bad.error
    (letter,) = await kiosk.queue.dead_letters(10)
    assert letter.job_id == bad.id
    assert reason in letter.reason


async def test_memory_that_an_image_may_not_have_is_no_second_attempt(kiosk: FakeKiosk) -> None:
    upload = await kiosk.upload(hostile("take_memory", "plane"), "evil.tif")
    job = await kiosk.service.segment(upload_id=upload, model="bright", caller=LOCAL)
    await kiosk.work()
    job = await kiosk.queue.get(job.id)
    assert (job.state, job.error_reason) == (JobState.FAILED, "IMAGE_TOO_LARGE")
    assert "KIOSK_DECODING__MEMORY_BYTES" in job.error
    assert not await kiosk.queue.dead_letters(10)


async def test_one_image_of_an_archive_that_kills_its_reader_is_shown_as_such(
    kiosk: FakeKiosk,
) -> None:
    members = {"a.tif": spots(), "b.tif": hostile("segfault", "open"), "c.tif": spots()}
    upload = await kiosk.upload(zip_of(members), "plate.zip")
    found = await kiosk.service.inspect(upload, thumbnail_px=20, caller=LOCAL)
    assert [image.error is None for image in found] == [True, False, True]
    assert "SIGSEGV" in str(found[1].error)
    assert all(found[number].thumbnail for number in (0, 2))


async def test_pictures_of_an_image_that_kills_its_reader(kiosk: FakeKiosk) -> None:
    upload = await kiosk.upload(hostile("segfault", "plane"), "evil.tif")
    job = await kiosk.service.segment(upload_id=upload, model="bright", caller=LOCAL)
    tiles = kiosk.tiles()
    with pytest.raises(ReaderFailed, match="SIGSEGV"):
        await tiles.job_tile(job.id, TileAt(level=0, t=1, z=0, row=0, column=0), caller=LOCAL)
    first = TileAt(level=0, t=0, z=0, row=0, column=0)
    assert await tiles.job_tile(job.id, first, caller=LOCAL)
    tiles.close()


def test_a_thumbnail_that_never_comes_is_left_out(files: DecodingImageFiles) -> None:
    """The middle plane, of which it would be, is read for ever."""
    (found,) = inspect_file(
        files,
        lambda: io.BytesIO(hostile("loop", "plane")),
        "evil.tif",
        thumbnail_px=20,
        patience_s=0.3,
    )
    assert found.error is None
    assert not found.thumbnail
    assert any("no thumbnail" in note for note in found.notes)


def test_pictures_of_sources_that_can_be_interrupted_end_in_time(
    files: DecodingImageFiles,
) -> None:
    source = files.open(io.BytesIO(hostile("loop", "plane")), "evil.tif")
    assert isinstance(source, Interruptible)
    with pytest.raises(TooLarge) as caught:
        small_pixels(source, (1, 0), [0], 20, patience_s=0.2)
    assert caught.value.reason == "TOO_SLOW"
    assert small_pixels(source, (0, 0), [0], 20, patience_s=60.0).shape == (1, 4, 5)
    source.close()


async def test_a_cancelled_user_ends_the_reader(kiosk: FakeKiosk) -> None:
    """The thread that waits for pixels is free again at once, and the next user has a new one."""
    upload = await kiosk.upload(hostile("loop", "plane"), "evil.tif")
    images = OpenImages(kiosk.store, kiosk.images)
    threads: list[asyncio.Task[np.ndarray]] = []
    reading = asyncio.Event()

    async def use(t: int) -> np.ndarray:
        async with images.use(upload, "evil.tif") as source:
            threads.append(asyncio.create_task(asyncio.to_thread(source.plane, t, 0, [0])))
            reading.set()
            return await asyncio.shield(threads[-1])

    user = asyncio.create_task(use(1))
    await reading.wait()
    user.cancel()
    with pytest.raises(asyncio.CancelledError):
        await user
    with pytest.raises((ReaderFailed, ValueError)):
        await asyncio.wait_for(threads[0], 10)
    assert (await use(0)).shape == (1, 4, 5)
    images.close()


class SlowFiles:
    """`ports.ImageFiles` that opens an image when it is told to."""

    def __init__(self, files: DecodingImageFiles) -> None:
        self._files = files
        self.opening, self.go_on = threading.Event(), threading.Event()
        self.opened: list[ImageSource] = []

    def entries(self, file: File, file_name: str) -> list[ImageEntry]:
        return self._files.entries(file, file_name)

    def open(self, file: File, file_name: str, options: ReadOptions = ReadOptions()) -> ImageSource:
        self.opening.set()
        self.go_on.wait(10)
        self.opened.append(self._files.open(file, file_name, options))
        return self.opened[-1]


async def test_an_image_that_nobody_waits_for_any_more_is_closed(
    kiosk: FakeKiosk, files: DecodingImageFiles
) -> None:
    slow = SlowFiles(files)
    images = OpenImages(kiosk.store, slow)
    upload = await kiosk.upload(spots(), "sound.tif")

    async def use() -> None:
        async with images.use(upload, "sound.tif"):
            raise AssertionError("it was cancelled")

    user = asyncio.create_task(use())
    await asyncio.to_thread(slow.opening.wait, 10)
    user.cancel()
    with pytest.raises(asyncio.CancelledError):
        await user
    slow.go_on.set()
    while not slow.opened:  # noqa: ASYNC110 (a thread opens it)
        await asyncio.sleep(0)
    await asyncio.to_thread(lambda: None)
    with pytest.raises(ValueError, match="closed"):
        slow.opened[0].plane(0, 0, [0])
