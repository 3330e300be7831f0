"""The processes that read images: what a file does to its reader it does to nobody else."""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_makers import pixels, tiff

from kiosk.adapters.decoder import landlock
from kiosk.adapters.decoder.decoding_files import DecodedImage, DecodingImageFiles
from kiosk.errors import InvalidRequest, KioskError, Outage, ReaderFailed, TooLarge, TransientError
from kiosk.ports import ImageSource, Interruptible
from kiosk.reading import ReadOptions
from kiosk.settings import MIB, DecodingSettings, LimitSettings

HERE = Path(__file__).parent
SMALL = DecodingSettings(
    memory_bytes=768 * MIB,
    file_bytes=20 * MIB,
)
FAR_BYTES = 1_000_000  # as in hostile_formats, which changes the process that imports it
SECRETS = ("KIOSK_QUEUE__REDIS_URL", "AWS_SECRET_ACCESS_KEY")
HERE_TOO = {"PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", "."), str(HERE)])}


@pytest.fixture(scope="module")
def files() -> Iterator[DecodingImageFiles]:
    """Readers that know the hostile formats, with little room."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (dict.fromkeys(SECRETS, "secret") | HERE_TOO).items():
            patch.setenv(name, value)
        made = DecodingImageFiles(LimitSettings(), SMALL, ["hostile_formats"])
        made.prepare()
        yield made
    made.close()


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[[bytes], Any]:
    def made(data: bytes) -> Any:
        path = tmp_path / f"image{len(list(tmp_path.iterdir()))}"
        path.write_bytes(data)
        return path.open("rb")

    return made


def hostile(harm: str, step: str) -> io.BytesIO:
    return io.BytesIO(f"HOSTILE {harm} {step}".encode())


def opened(files: DecodingImageFiles, harm: str, step: str = "plane") -> DecodedImage:
    source = files.open(hostile(harm, step), "evil.tif")
    assert isinstance(source, DecodedImage)
    return source


def reader_of(source: ImageSource) -> int:
    """The id of the process that reads an image."""
    assert isinstance(source, DecodedImage)
    return source._reader.pid


def wait_for_end(pid: int) -> None:
    """Until a process of somebody else has ended."""
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(pid)
        waiting = select.poll()
        waiting.register(fd, select.POLLIN)
        assert waiting.poll(20_000), f"process {pid} lives on"
        os.close(fd)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


# ------------------------------------------------------------------ harm that a file can do

ENDS = [
    ("segfault", "signal 11, SIGSEGV"),
    ("abort", "signal 6, SIGABRT"),
    ("leave", "exit code 0"),
    ("hang_up", "signal 9, SIGKILL"),
    ("babble", "makes no sense"),
    ("claim_much", "makes no sense"),
    ("lie_about_errors", "makes no sense"),
    ("answer_with_a_list", "makes no sense"),
    ("read_beside_the_file", "makes no sense"),
]


@pytest.mark.parametrize(("harm", "how"), ENDS)
def test_a_reader_that_dies_or_babbles_while_it_opens_is_an_error(
    files: DecodingImageFiles, harm: str, how: str
) -> None:
    with pytest.raises(ReaderFailed) as caught:
        opened(files, harm, "open")
    assert how in caught.value.message
    assert "evil.tif" in caught.value.message


@pytest.mark.parametrize(("harm", "how"), ENDS)
def test_the_next_plane_of_an_image_whose_reader_has_died_is_read_anew(
    files: DecodingImageFiles, harm: str, how: str
) -> None:
    with contextlib.closing(opened(files, harm)) as source:
        first = source.plane(0, 0, [0])
        with pytest.raises(ReaderFailed, match=how):
            source.plane(1, 0, [0])
        assert (source.plane(0, 0, [0]) == first).all()


def test_facts_that_cannot_be_are_not_believed(files: DecodingImageFiles) -> None:
    with pytest.raises(ReaderFailed, match="makes no sense"):
        opened(files, "lie", "open")


@pytest.mark.parametrize("step", ["open", "plane"])
@pytest.mark.parametrize("harm", ["loop", "loop_in_c"])
def test_who_takes_too_long_is_stopped(
    monkeypatch: pytest.MonkeyPatch, harm: str, step: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", HERE_TOO["PYTHONPATH"])
    impatient = DecodingSettings.model_validate({f"{step}_timeout_s": 0.3})
    files = DecodingImageFiles(LimitSettings(), impatient, ["hostile_formats"])
    with contextlib.closing(files):
        with pytest.raises(ReaderFailed, match=f"{step.upper()}_TIMEOUT_S") as caught:
            opened(files, harm, step).plane(1, 0, [0])
        assert caught.value.reason == "TOO_SLOW"


@pytest.mark.parametrize("harm", ["take_memory", "take_memory_in_small_pieces"])
@pytest.mark.parametrize("step", ["open", "plane"])
def test_memory_is_bounded(files: DecodingImageFiles, harm: str, step: str) -> None:
    with pytest.raises(TooLarge, match="KIOSK_DECODING__MEMORY_BYTES"):
        opened(files, harm, step).plane(1, 0, [0])


def test_temporary_files_are_bounded(files: DecodingImageFiles) -> None:
    with pytest.raises(RuntimeError, match="File too large"):
        opened(files, "fill_the_disk", "open")


@pytest.mark.parametrize(
    ("harm", "error"),
    [("raise_something", "of a library"), ("open_very_many_files", "too many|Too many")],
)
def test_faults_of_our_own_are_told_from_faults_of_the_file(
    files: DecodingImageFiles, harm: str, error: str
) -> None:
    with pytest.raises(RuntimeError, match=error):
        opened(files, harm, "open")


def test_what_a_reader_prints_goes_nowhere(
    files: DecodingImageFiles, capfd: pytest.CaptureFixture[str]
) -> None:
    with contextlib.closing(opened(files, "chatter", "open")) as source:
        assert source.plane(0, 0, [0]).shape == (1, 4, 5)
    assert capfd.readouterr() == ("", "")


def test_a_reader_knows_no_secrets(files: DecodingImageFiles, tmp_path: Path) -> None:
    """But for what lies at an address: buckets are opened with them."""
    (tmp_path / "evil").write_bytes(b"HOSTILE nothing open")
    with contextlib.closing(opened(files, "nothing")) as source:
        assert not set(SECRETS).intersection(source.notes)
        assert tempfile.gettempdir() in source.notes
    with contextlib.closing(files.open(f"file://{tmp_path}/evil", "evil.tif")) as source:
        assert set(SECRETS).intersection(source.notes) == {"AWS_SECRET_ACCESS_KEY"}


@pytest.mark.skipif(landlock.version() < 6, reason="the kernel has no such Landlock")
def test_a_reader_reaches_nothing_but_its_file(
    files: DecodingImageFiles, on_disk: Callable[[bytes], Any]
) -> None:
    data = b"HOSTILE look_around open"
    may = {"use a temporary file", "load a module"}
    for file in (io.BytesIO(data), on_disk(data), on_disk(data).name):
        where = f"file://{file}" if isinstance(file, str) else file
        with contextlib.closing(files.open(where, "evil.tif")) as source:
            assert {note for note in source.notes if " " in note} == may


# ------------------------------------------------------------------ beside each other


def test_a_reader_that_was_killed_while_nobody_asked_is_replaced(
    files: DecodingImageFiles,
) -> None:
    with contextlib.closing(opened(files, "nothing")) as source:
        for _ in range(2):
            os.kill(reader_of(source), signal.SIGKILL)
            wait_for_end(reader_of(source))
            assert source.plane(0, 0, [0]).shape == (1, 4, 5)


def test_what_forks_readers_may_die_too(files: DecodingImageFiles) -> None:
    source = opened(files, "nothing")
    zygote = files._readers._zygote
    assert zygote is not None
    assert zygote._process is not None
    os.kill(zygote._process.pid, signal.SIGKILL)
    wait_for_end(reader_of(source))  # it ends with the one that forked it
    assert source.plane(0, 0, [0]).shape == (1, 4, 5)
    source.close()
    opened(files, "nothing").close()


class Watched(io.BytesIO):
    """Says when its end is read, which is done by a plane that then waits for ever."""

    def __init__(self) -> None:
        super().__init__(b"HOSTILE nothing plane".ljust(FAR_BYTES + 1))
        self.is_far = threading.Event()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset >= FAR_BYTES:
            self.is_far.set()
        return super().seek(offset, whence)


def test_reading_can_be_interrupted_from_another_thread(files: DecodingImageFiles) -> None:
    file = Watched()
    with contextlib.closing(files.open(file, "evil.tif")) as source, ThreadPoolExecutor(1) as pool:
        assert isinstance(source, Interruptible)
        waiting = pool.submit(source.plane, 2, 0, [0])
        assert file.is_far.wait(10)
        source.interrupt()
        with pytest.raises(ReaderFailed, match="given up"):
            waiting.result(10)
        assert source.plane(0, 0, [0]).shape == (1, 4, 5)


def test_an_image_can_be_closed_while_a_thread_reads_it(files: DecodingImageFiles) -> None:
    file = Watched()
    source = files.open(file, "evil.tif")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(source.plane, 2, 0, [0])
        assert file.is_far.wait(10)
        source.close()
        with pytest.raises(ReaderFailed, match="given up"):
            waiting.result(10)
    assert file.closed
    with pytest.raises(ValueError, match="closed"):
        source.plane(0, 0, [0])


def test_a_hundred_images_at_a_time(
    files: DecodingImageFiles, on_disk: Callable[[bytes], Any]
) -> None:
    """Sound ones and others, each with its own outcome."""
    image = pixels(30, 40)
    sound = on_disk(tiff(image)).name

    def read(number: int) -> Any:
        if number % 5 == 0:
            with pytest.raises(ReaderFailed):
                opened(files, "segfault", "open")
            return None
        with contextlib.closing(files.open(open(sound, "rb"), "a.tif")) as source:
            return source.plane(0, 0, [0])[0]

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(read, range(100)))
    assert sum(one is None for one in found) == 20
    assert all((one == image).all() for one in found if one is not None)


def test_nothing_is_left_of_many_images(
    files: DecodingImageFiles, on_disk: Callable[[bytes], Any]
) -> None:
    data = tiff(pixels(30, 40))

    def read(number: int) -> int:
        file = io.BytesIO(data) if number % 2 else on_disk(data)
        source = files.open(file, "a.tif")
        source.plane(0, 0, [0])
        source.close()
        with pytest.raises(KioskError):
            files.open(io.BytesIO(b"nothing"), "b.tif")
        with pytest.raises(ReaderFailed):
            opened(files, "leave", "open")
        return reader_of(source)

    read(0)
    before = open_files()
    pids = [read(number) for number in range(30)]
    assert open_files() == before
    for pid in pids:
        wait_for_end(pid)


def test_readers_end_with_their_owner(tmp_path: Path) -> None:
    """Also when it is killed, and also one that never comes to look."""
    (tmp_path / "image").write_bytes(b"HOSTILE nothing plane")
    program = f"""
import os, sys, threading
from kiosk.adapters.decoder import landlock
from kiosk.adapters.decoder.decoding_files import DecodingImageFiles
from kiosk.settings import DecodingSettings, LimitSettings
files = DecodingImageFiles(LimitSettings(), DecodingSettings(), ["hostile_formats"])
busy, idle = (files.open(open({str(tmp_path / "image")!r}, "rb"), "a") for _ in range(2))
threading.Thread(target=busy.plane, args=(2, 0, [0]), daemon=True).start()
pids = [files._readers._zygote._process.pid, busy._reader.pid, idle._reader.pid]
while not busy._lock.locked(): pass
print(*pids, flush=True)
sys.stdin.read()
"""
    owner = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **HERE_TOO},
    )
    assert owner.stdout is not None
    pids = [int(word) for word in owner.stdout.readline().split()]
    assert len(pids) == 3
    owner.kill()
    owner.communicate()
    for pid in pids:
        wait_for_end(pid)


def test_what_forks_has_one_thread(files: DecodingImageFiles) -> None:
    """A fork of a process with threads may find a lock that nobody will ever open."""
    for data in (tiff(pixels(5, 6)), b"ZISRAWFILE".ljust(100)):
        with contextlib.suppress(InvalidRequest):
            files.open(io.BytesIO(data), "a").close()
    for readers in (files._readers, files._vendor_readers):
        assert readers._zygote is not None
        assert readers._zygote._process is not None
        assert len(os.listdir(f"/proc/{readers._zygote._process.pid}/task")) == 1


# ------------------------------------------------------------------ as in one process


@pytest.mark.parametrize("error", [OSError("the bucket is away"), Outage("It is away.")], ids=str)
@pytest.mark.parametrize("from_bytes", [0, 1000])
def test_the_store_that_fails_is_not_the_file_that_is_damaged(
    files: DecodingImageFiles, error: Exception, from_bytes: int
) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= from_bytes:
                raise error
            return super().read(size)

    data = tiff(pixels(600, 800))  # more than is read ahead
    wanted = type(error) if isinstance(error, KioskError) else TransientError
    with pytest.raises(wanted) as caught:
        files.open(Failing(data), "a").plane(0, 0, [0])
    assert type(caught.value) is wanted


def test_errors_arrive_as_they_were_raised(files: DecodingImageFiles) -> None:
    with pytest.raises(InvalidRequest) as caught:
        files.open(io.BytesIO(tiff(pixels(5, 6))), "a.tif", ReadOptions(axes="TYX", series=7))
    assert caught.value.reason == "SERIES_NOT_FOUND"
    assert caught.value.field == "series"
    with pytest.raises(InvalidRequest) as caught:
        files.entries(io.BytesIO(b"just text"), "a.tif")
    assert caught.value.reason == "NOT_AN_IMAGE"


def test_a_file_that_is_refused_stays_open(files: DecodingImageFiles) -> None:
    file = io.BytesIO(b"just text")
    with pytest.raises(InvalidRequest):
        files.open(file, "a.tif")
    assert not file.closed


@pytest.mark.parametrize("kind", ["<u2", ">u2", "u1", "i4", "f4", "f8", "?"])
def test_pixels_of_all_kinds(files: DecodingImageFiles, kind: str) -> None:
    image = pixels(20, 30, dtype=np.dtype(kind).newbyteorder("=")).astype(kind)
    data = io.BytesIO()
    np.save(data, image)
    with contextlib.closing(files.open(data, "a.npy")) as source:
        window = (slice(3, 9), slice(5, 100))
        found = source.plane(0, 0, [0], window)
        assert found.dtype == source.dtype
        assert (found[0] == image[window]).all()
        assert source.plane(0, 0, [0], (slice(4, 4), slice(0, 3))).shape == (1, 0, 3)
        assert source.plane(0, 0, []).shape == (0, 20, 30)
        found[...] = 1  # whoever has asked for them may work on them in place
        with pytest.raises(InvalidRequest):
            source.plane(0, 0, [0], level=1)
        with pytest.raises(InvalidRequest):
            source.plane(5, 0, [0])


def test_threads_may_share_an_image(files: DecodingImageFiles) -> None:
    image = pixels(4, 50, 60)
    file = io.BytesIO(tiff(image, ome=True, metadata={"axes": "TYX"}))
    with contextlib.closing(files.open(file, "a.tif")) as source, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: source.plane(number % 4, 0, [0])[0], range(40)))
    assert all((one == image[number % 4]).all() for number, one in enumerate(found))
