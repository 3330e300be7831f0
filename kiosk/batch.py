"""Many files through a kiosk at once, with progress on the terminal: `kiosk segment`, `watch`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from kiosk._proto import kiosk_pb2 as pb
from kiosk.client import AsyncKiosk
from kiosk.client_arguments import Rectangle
from kiosk.errors import AlreadyExists, KioskError, NotFound, Overloaded, TransientError
from kiosk.image_paths import check_stems, image_stems, is_zip, stem_of
from kiosk.mask_files import MaskFiles
from kiosk.progress_lines import ProgressLines

# Files at a time: enough that uploads, inference and downloads overlap.
FILES_IN_FLIGHT = 4
# Members of one zip at a time.
MEMBERS_IN_FLIGHT = 4
# A kiosk that is full is asked again after so long.
FULL_PAUSE_S = 10.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class SegmentRequest:
    """What to do with every file of a batch; most fields are those of `AsyncKiosk.segment`.

    Attributes:
        out: folder for the results.
        all_series: every image of a file that holds several, and not the one of `series`.
        within: mask for all images, or a folder with a mask NAME or NAME_labels for each.
        overwrite: replace results that are there.
        skip_existing: leave out images whose results are there.
    """

    out: Path
    model: str
    version: str = ""
    channel: str = ""
    parameters: Mapping[str, float] = field(default_factory=dict)
    axes: str = ""
    pixel_size_um: float = 0.0
    z_step_um: float = 0.0
    series: int = 0
    all_series: bool = False
    region: Rectangle | None = None
    plane: tuple[int, int] | None = None
    volume: bool = False
    formats: Sequence[str] = ()
    within: str = ""
    overwrite: bool = False
    skip_existing: bool = False

    def reading(self, member: str, series: int) -> pb.ReadOptions:
        return pb.ReadOptions(
            member=member,
            series=series,
            axes=self.axes,
            pixel_size_um=self.pixel_size_um,
            z_step_um=self.z_step_um,
        )


class Outcome(Enum):
    """What has become of an image."""

    DONE = "done"
    LEFT_OUT = "left out"  # its results are there
    FAILED = "failed"
    UNREACHABLE = "unreachable"  # failed, but not by itself: another try may succeed


async def segment_files(
    kiosk: AsyncKiosk, names: Sequence[str], request: SegmentRequest, console: Console
) -> list[Outcome]:
    """Segment all files; prints one line per image. Returns what became of each, in order.

    Raises a KioskError for what is wrong with all of them.
    """
    check_stems(names)
    await _check_model(kiosk, request)
    slots = asyncio.Semaphore(FILES_IN_FLIGHT)
    with ProgressLines(console) as lines:
        batch = Batch(kiosk, request, lines)
        lines.expect(len(names))

        async def one(name: str) -> list[Outcome]:
            async with slots:
                outcomes = await batch.file(name)
                lines.advance()
                return outcomes

        found = await asyncio.gather(*map(one, names))
    return [outcome for outcomes in found for outcome in outcomes]


async def _check_model(kiosk: AsyncKiosk, request: SegmentRequest) -> None:
    """No model or no kiosk is said once, and not of each file."""
    card = await kiosk.model(request.model)
    if request.version and request.version not in card.versions:
        raise NotFound(
            f"The model '{request.model}' has no version '{request.version}'. Its versions are:"
            f" {', '.join(card.versions)}.",
            reason="MODEL_VERSION_NOT_FOUND",
            field="model_version",
        )


class Batch:
    """Files of one request, each all the way; says how each went."""

    def __init__(self, kiosk: AsyncKiosk, request: SegmentRequest, lines: ProgressLines) -> None:
        self._kiosk, self._request, self._lines = kiosk, request, lines
        self._masks = MaskFiles(kiosk, request.within)
        self._has_waited = False

    async def file(self, name: str) -> list[Outcome]:
        """One file, or every image of a zip."""
        request, shown = self._request, Path(name).name
        stem, is_many = stem_of(name), is_zip(name) or request.all_series
        try:
            if not is_many and not self._is_wanted(stem):
                return [self._left_out(shown)]
            with self._lines.bar(shown) as show:
                upload = await self._patiently(lambda: self._kiosk.upload(name, progress=show))
                images = [("", request.series)]
                if is_many:
                    images = self._asked(await self._kiosk.inspect(upload, list_only=True))
        except (KioskError, OSError) as error:
            return [self._failed(shown, error)]
        slots = asyncio.Semaphore(MEMBERS_IN_FLIGHT)
        turn = asyncio.Lock()  # jobs begin in the order of the images
        stems = image_stems(images, stem) if len(images) > 1 else [stem]

        async def one(image: tuple[str, int], stem: str) -> Outcome:
            async with slots:
                where = shown if len(images) == 1 else f"{shown}: {_place(image, stem)}"
                return await self._image(upload, where, stem, request.reading(*image), turn)

        return await asyncio.gather(*map(one, images, stems))

    def _asked(self, listed: Sequence[pb.Image]) -> list[tuple[str, int]]:
        """(member, series) of the images to segment."""
        found = [(image.reading.member, image.reading.series) for image in listed]
        if self._request.series:
            found = [image for image in found if image[1] == self._request.series]
        return found or [("", self._request.series)]

    async def _image(
        self,
        upload: str,
        shown: str,
        stem: str,
        reading: pb.ReadOptions,
        turn: asyncio.Lock,
    ) -> Outcome:
        """One image of an upload."""
        started = time.monotonic()
        try:
            if not self._is_wanted(stem):
                return self._left_out(shown)
            with self._lines.bar(shown) as show:
                async with turn:
                    job = await self._patiently(lambda: self._submit(upload, stem, reading))
                job = await self._kiosk.wait(job.name, progress=show)
                written = await self._kiosk.download(
                    job.name, self._request.out, stem=stem, overwrite=self._request.overwrite
                )
        except (KioskError, OSError) as error:
            return self._failed(shown, error)
        seconds = time.monotonic() - started
        self._lines.say("green", "done", f"{shown}: {_summary(written)}, {seconds:.1f} s")
        for note in job.notes:
            self._lines.note(note)
        return Outcome.DONE

    async def _submit(self, upload: str, stem: str, reading: pb.ReadOptions) -> pb.Job:
        request = self._request
        return await self._kiosk.submit(
            upload,
            model=request.model,
            version=request.version,
            channel=request.channel,
            parameters=request.parameters,
            reading=reading,
            region=request.region,
            plane=request.plane,
            volume=request.volume,
            formats=request.formats,
            within=await self._masks.of(stem),
        )

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        """A step that a full kiosk refuses, again and again: a long batch waits for room."""
        while True:
            try:
                return await step()
            except Overloaded as error:
                if error.reason != Overloaded.reason:  # gRPC's own bounds, which do not pass
                    raise
                if not self._has_waited:
                    self._lines.note(f"{error.message} Waiting for that.")
                    self._has_waited = True
                await asyncio.sleep(FULL_PAUSE_S)

    def _is_wanted(self, stem: str) -> bool:
        request = self._request
        return is_wanted(request.out, stem, request.overwrite, request.skip_existing)

    def _left_out(self, shown: str) -> Outcome:
        return say_left_out(self._lines, shown)

    def _failed(self, shown: str, error: Exception) -> Outcome:
        return say_failed(self._lines, shown, error)


def is_wanted(out: Path, stem: str, overwrite: bool, skip_existing: bool) -> bool:
    """Before the work is done, not after: results that are there are not replaced unasked.

    Raises:
        AlreadyExists: they are there, and nobody said what to do.
    """
    if overwrite or not (out / f"{stem}_run.json").exists():
        return True
    if skip_existing:
        return False
    raise AlreadyExists(
        f"results of that name are in '{out}' already. Add --overwrite to replace them or"
        " --skip-existing to leave them, or choose another --out folder.",
        reason="FILE_EXISTS",
    )


def say_left_out(lines: ProgressLines, shown: str) -> Outcome:
    """A line for a file whose results are there."""
    lines.say("dim", "left", f"{shown}: its results are there already")
    return Outcome.LEFT_OUT


def say_failed(lines: ProgressLines, shown: str, error: Exception) -> Outcome:
    """A line for a file that failed, and what has become of it."""
    message = error.message if isinstance(error, KioskError) else str(error)
    if isinstance(error, OSError) and error.strerror:
        message = f"'{error.filename}' cannot be used: {error.strerror}."
    # Sentences about a file begin with its name.
    own_names = (f"'{shown}'", f"'{shown.replace(': ', '/', 1)}'")
    named = message if message.startswith(own_names) else f"{shown}: {message}"
    lines.say("red", "failed", named)
    return Outcome.UNREACHABLE if isinstance(error, TransientError) else Outcome.FAILED


def _place(image: tuple[str, int], stem: str) -> str:
    member, series = image
    numbered = stem.endswith(f"_series{series}")
    return ", ".join(part for part in (member, f"series {series}" if numbered else "") if part)


def _summary(written: Sequence[Path]) -> str:
    if record := run_record(written):
        planes = len(record["planes"])
        kind = "in 3-D, from" if record.get("volume") else "in"
        where = f" {kind} {planes} planes" if planes > 1 else ""
        return f"{record['instances']} instances{where}"
    return f"{len(written)} files"


def run_record(written: Sequence[Path]) -> dict[str, Any]:
    """How results were made, as their NAME_run.json says; nothing where there is none."""
    for path in written:
        if path.name.endswith("_run.json"):
            return dict(json.loads(path.read_text()))
    return {}
