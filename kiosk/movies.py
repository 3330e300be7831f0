"""Movies through a kiosk, with progress on the terminal: `kiosk track`."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from kiosk._proto import kiosk_pb2 as pb
from kiosk.batch import Outcome, is_wanted, run_record, say_failed, say_left_out
from kiosk.client import AsyncKiosk
from kiosk.connection import ProgressCallback
from kiosk.errors import InvalidRequest, KioskError
from kiosk.frame_files import FrameFolder
from kiosk.image_paths import check_stems, is_image_folder, stem_of
from kiosk.ports import ImageFiles
from kiosk.progress_lines import ProgressLines


@dataclass(frozen=True, kw_only=True)
class TrackRequest:
    """What to do with every movie.

    Attributes:
        out: folder for the results.
        labels: label images of the movie, a file or a folder of frames; "" = segment it.
        tracks: a corrected table of tracks of these labels; "" = none.
        reading: how to read the movie.
        options: the other arguments of `AsyncKiosk.submit_tracking`.
    """

    out: Path
    labels: str = ""
    tracks: str = ""
    reading: pb.ReadOptions = field(default_factory=pb.ReadOptions)
    skip_bad_frames: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    overwrite: bool = False
    skip_existing: bool = False


async def track_movies(
    kiosk: AsyncKiosk,
    names: Sequence[str],
    request: TrackRequest,
    files: ImageFiles,
    console: Console,
) -> list[Outcome]:
    """Track all movies, one after the other; prints a line for each. What became of each.

    Raises a KioskError for what is wrong with all of them.
    """
    names = [_named(name) for name in names]
    check_stems(names)
    if request.labels and len(names) > 1:
        raise InvalidRequest("Labels belong to one movie; track movies with labels one by one.")
    if not request.labels:
        # No kiosk and no model are said once, and not of each movie.
        await kiosk.model(str(request.options.get("model", "nuclei")).partition(":")[0])
    with ProgressLines(console) as lines:
        movies = _Movies(kiosk, request, files, lines)
        lines.expect(len(names))
        found = []
        for name in names:
            found.append(await movies.track(name))
            lines.advance()
    return found


def _named(name: str) -> str:
    """The folder in which the caller is, or one above it, by its own name."""
    return str(Path(name).resolve()) if Path(name).name in ("", "..") else name


class _Movies:
    """Movies of one request, each all the way; says how each went."""

    def __init__(
        self, kiosk: AsyncKiosk, request: TrackRequest, files: ImageFiles, lines: ProgressLines
    ) -> None:
        self._kiosk, self._request, self._files, self._lines = kiosk, request, files, lines

    async def track(self, name: str) -> Outcome:
        request, shown, stem = self._request, Path(name).name, stem_of(name)
        started = time.monotonic()
        try:
            if not is_wanted(request.out, stem, request.overwrite, request.skip_existing):
                return say_left_out(self._lines, shown)
            with self._lines.bar(shown) as show:
                job = await self._submit(name, show)
                job = await self._kiosk.wait(job.name, progress=show)
                written = await self._kiosk.download(
                    job.name, request.out, stem=stem, overwrite=request.overwrite
                )
        except (KioskError, OSError) as error:
            if isinstance(error, KioskError) and error.reason == "MEMBER_NEEDED":
                error = InvalidRequest(
                    "An archive of several images is not taken as a movie; unpack it and give the"
                    " folder, whose images are the frames."
                )
            return say_failed(self._lines, shown, error)
        seconds = time.monotonic() - started
        record = run_record(written)
        self._lines.say("green", "done", f"{shown}: {_summary(record)}, {seconds:.1f} s")
        for note in [*job.notes, *_remarks(record)]:
            self._lines.note(note)
        return Outcome.DONE

    async def _submit(self, name: str, show: ProgressCallback) -> pb.Job:
        request = self._request
        labels = await self._upload(request.labels) if request.labels else ""
        if request.labels == name:
            upload = labels
        else:
            upload = await self._upload(name, show)
        return await self._kiosk.submit_tracking(
            upload,
            labels=labels,
            tracks=await self._kiosk.upload(request.tracks) if request.tracks else "",
            reading=request.reading,
            skip_bad_frames=request.skip_bad_frames,
            **request.options,
        )

    async def _upload(self, name: str, show: ProgressCallback | None = None) -> str:
        """Upload a file, or the frames of a folder as one movie."""
        folder = Path(name)
        if not folder.is_dir() or is_image_folder(folder):  # noqa: ASYNC240
            return await self._kiosk.upload(name, progress=show)
        skip = self._request.skip_bad_frames
        frames = FrameFolder(folder, self._files, skip_bad_frames=skip)
        with tempfile.TemporaryDirectory(prefix="kiosk-frames-") as place:
            target = Path(place) / f"{folder.resolve().name}.tif"  # noqa: ASYNC240
            await asyncio.to_thread(frames.write, target)
            for bad, why in frames.bad.items():
                self._lines.say("yellow", "empty", f"{bad}: {why}")
            return await self._kiosk.upload(target, progress=show)


def _summary(record: Mapping[str, Any]) -> str:
    tracks, divisions, instances, frames = (
        f"{record.get(f'{name}s', 0)} {name}{'s' * (record.get(f'{name}s', 0) != 1)}"
        for name in ("track", "division", "instance", "frame")
    )
    return f"{tracks}, {divisions}, {instances} in {frames}"


def _remarks(record: Mapping[str, Any]) -> list[str]:
    bad = [f"Frame {t} was left out: {why}" for t, why in record.get("bad_frames", {}).items()]
    joined, parted = (record.get("mended", {}).get(name, 0) for name in ("joined", "parted"))
    mended = [f"Mended by the frames around: {joined} cells that were cut, {parted} run together."]
    separated = record.get("separated", 0)
    shared = [f"{separated} cells that shared a number with another of their frame were separated."]
    notes = mended * bool(joined + parted) + shared * bool(separated)
    return bad + notes + list(record.get("left_out", {}).values())
