"""Many files through a kiosk at once, with progress on the terminal: `kiosk segment`, `watch`."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kiosk._proto import kiosk_pb2 as pb
from kiosk.client import AsyncKiosk, Rectangle
from kiosk.connection import Progress as Step
from kiosk.connection import ProgressCallback
from kiosk.errors import AlreadyExists, InvalidRequest, KioskError
from kiosk.folder_zip import is_ome_zarr, natural_key
from kiosk.jobs import plain_name, result_stem

# Files at a time: enough that uploads, inference and downloads overlap.
FILES_IN_FLIGHT = 4
# Members of one zip at a time.
MEMBERS_IN_FLIGHT = 4
IMAGE_SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".npy", ".svs", ".ndpi", ".stk"}
IMAGE_SUFFIXES |= {".lsm", ".czi", ".nd2", ".lif", ".btf", ".tf8", ".tf2"}
ZIP_SUFFIXES = {".zip", ".ozx"}
ZARR_SUFFIX = ".zarr"
# A file in a watched folder is taken once its size has not changed between two looks.
LOOK_S = 2.0
# File systems take names of 255 bytes; this leaves room for the endings of results.
LONGEST_STEM_BYTES = 200


@dataclass(frozen=True, kw_only=True)
class SegmentRequest:
    """What to do with every file of a batch; the fields are those of `AsyncKiosk.segment`."""

    out: Path
    model: str
    version: str = ""
    channel: str = ""
    parameters: Mapping[str, float] = field(default_factory=dict)
    axes: str = ""
    pixel_size_um: float = 0.0
    z_step_um: float = 0.0
    series: int = 0
    region: Rectangle | None = None
    volume: bool = False
    formats: Sequence[str] = ()
    within: Path | None = None
    overwrite: bool = False

    def reading(self, member: str = "") -> pb.ReadOptions:
        return pb.ReadOptions(
            member=member,
            series=self.series,
            axes=self.axes,
            pixel_size_um=self.pixel_size_um,
            z_step_um=self.z_step_um,
        )


def find_images(names: Sequence[str | Path]) -> list[str]:
    """The files and addresses named, and the images in the folders named, in natural order.

    Raises:
        InvalidRequest: a path does not exist, a folder holds no image, or two files would
            write results of the same name.
    """
    found: list[str] = []
    for name in map(str, names):
        path = Path(name)
        if "://" in name or is_image_folder(path):
            found.append(name)
        elif path.is_dir():
            images = sorted(filter(is_image, path.iterdir()), key=lambda p: natural_key(p.name))
            if not images:
                raise InvalidRequest(
                    f"There is no image in '{path}' (TIFF, PNG, JPEG, OME-Zarr, zip, ...)."
                )
            found += map(str, images)
        elif path.exists():
            found.append(name)
        else:
            raise InvalidRequest(f"The file '{path}' does not exist.")
    seen: dict[str, str] = {}
    for name in found:
        other = seen.setdefault(stem_of(name), name)
        if other is not name:
            raise InvalidRequest(
                f"'{other}' and '{name}' would both write {stem_of(name)}_labels.tif. Run them"
                " with different --out folders."
            )
    return found


def is_image(path: Path) -> bool:
    """Whether a file or folder looks like an image or a zip of images, by its name."""
    if path.name.startswith("."):
        return False
    suffix = path.suffix.lower()
    return is_image_folder(path) if path.is_dir() else suffix in IMAGE_SUFFIXES | ZIP_SUFFIXES


def is_image_folder(path: Path) -> bool:
    return path.is_dir() and (path.suffix.lower() == ZARR_SUFFIX or is_ome_zarr(path))


def stem_of(name: str) -> str:
    """First part of the names of the results of a file, folder or address."""
    stem = Path(name.rstrip("/").rpartition("://")[2]).stem or "image"
    return os.fsdecode(os.fsencode(stem)[:LONGEST_STEM_BYTES])


async def segment_files(
    kiosk: AsyncKiosk, names: Sequence[str], request: SegmentRequest, console: Console
) -> tuple[int, int]:
    """Segment all files; prints one line per image. Returns how many failed, of how many."""
    slots = asyncio.Semaphore(FILES_IN_FLIGHT)
    with _bars(console) as bars:
        mask = await kiosk.mask(request.within or "")
        total = bars.add_task("files", total=len(names), visible=len(names) > 1)

        async def one(name: str) -> list[bool]:
            async with slots:
                done = await segment_file(kiosk, name, request, bars, mask)
                bars.advance(total)
                return done

        outcomes = [done for found in await asyncio.gather(*map(one, names)) for done in found]
    return outcomes.count(False), len(outcomes)


async def segment_file(
    kiosk: AsyncKiosk, name: str, request: SegmentRequest, bars: Progress, mask: str = ""
) -> list[bool]:
    """One file all the way, or every image of a zip; whether each has succeeded."""
    stem = stem_of(name)
    shown = Path(name).name
    with _bar(bars, shown) as show:
        try:
            is_zip = Path(name).suffix.lower() in ZIP_SUFFIXES
            if not is_zip:
                _check_free(request, stem)
            upload = await kiosk.upload(name, progress=show)
            images = await kiosk.inspect(upload, list_only=True) if is_zip else []
        except (KioskError, OSError) as error:
            return [_failed(bars, shown, error)]
    if len(images) <= 1:
        member = images[0].reading.member if images else ""
        return [await _segment_image(kiosk, upload, shown, stem, request, bars, mask, member)]
    slots = asyncio.Semaphore(MEMBERS_IN_FLIGHT)
    stems = member_stems([image.reading.member for image in images])

    async def one(member: str) -> bool:
        async with slots:
            where = f"{shown}: {member}"
            return await _segment_image(
                kiosk, upload, where, stems[member], request, bars, mask, member
            )

    return await asyncio.gather(*map(one, stems))


async def _segment_image(
    kiosk: AsyncKiosk,
    upload: str,
    shown: str,
    stem: str,
    request: SegmentRequest,
    bars: Progress,
    mask: str,
    member: str,
) -> bool:
    """One image of an upload; prints how it went. Returns whether it succeeded."""
    started = time.monotonic()
    with _bar(bars, shown) as show:
        try:
            _check_free(request, stem)
            job = await kiosk.submit(
                upload,
                model=request.model,
                version=request.version,
                channel=request.channel,
                parameters=request.parameters,
                reading=request.reading(member),
                region=request.region,
                volume=request.volume,
                formats=request.formats,
                within=mask,
            )
            job = await kiosk.wait(job.name, progress=show)
            written = await kiosk.download(
                job.name, request.out, stem=stem, overwrite=request.overwrite
            )
        except (KioskError, OSError) as error:
            return _failed(bars, shown, error)
    seconds = time.monotonic() - started
    _say(bars, f"[green]done[/green]   {_escaped(shown)}: {_summary(written)}, {seconds:.1f} s")
    for note in job.notes:
        _say(bars, f"[dim]       {_escaped(note)}[/dim]")
    return True


def _check_free(request: SegmentRequest, stem: str) -> None:
    """Before the work is done, not after: results that are there are not replaced unasked."""
    record = request.out / f"{stem}_run.json"
    if record.exists() and not request.overwrite:
        raise AlreadyExists(
            f"results of that name are in '{request.out}' already. Add --overwrite to replace"
            " them, or choose another --out folder.",
            reason="FILE_EXISTS",
        )


def member_stems(members: Sequence[str]) -> dict[str, str]:
    """First part of the names of results of every member of a zip: its own name, with its folders
    where several members have the same name, and with a number where those are the same too.

    Members may have names that cannot be those of files here, so what the kiosk itself makes of
    a name is taken.
    """
    counts = Counter(result_stem(member).casefold() for member in members)
    stems: dict[str, str] = {}
    taken: set[str] = set()  # some file systems do not tell A from a
    for member in members:
        stem = result_stem(member)
        if counts[stem.casefold()] > 1:
            stem = result_stem(member.strip("/").replace("/", "_"))
        number, wanted = 1, stem
        while stem.casefold() in taken:
            number += 1
            stem = f"{wanted}_{number}"
        taken.add(stem.casefold())
        stems[member] = stem
    return stems


def _failed(bars: Progress, shown: str, error: Exception) -> bool:
    message = str(error)
    if isinstance(error, OSError) and error.strerror:
        message = f"'{error.filename}' cannot be used: {error.strerror}."
    _say(bars, f"[red]failed[/red] {_escaped(shown)}: {_escaped(message)}")
    return False


async def watch_folder(
    kiosk: AsyncKiosk, folder: Path, request: SegmentRequest, console: Console
) -> None:
    """Segment every image that appears in a folder, until interrupted.

    A file whose results are in the output folder already is left alone, so a restart goes on
    where it stopped.
    """
    with _bars(console) as bars:
        async for path in _arrivals(folder, request.out):
            await segment_file(kiosk, str(path), request, bars)


async def _arrivals(folder: Path, out: Path) -> AsyncIterator[Path]:
    sizes: dict[Path, int] = {}
    taken: set[Path] = set()
    while True:
        for path in sorted(await asyncio.to_thread(lambda: list(folder.iterdir()))):
            if path.suffix.lower() not in IMAGE_SUFFIXES | ZIP_SUFFIXES or path in taken:
                continue
            size = path.stat().st_size
            if (out / f"{path.stem}_run.json").exists():
                taken.add(path)
            elif size and sizes.get(path) == size:
                taken.add(path)
                yield path
            sizes[path] = size
        await asyncio.sleep(LOOK_S)


def _say(bars: Progress, line: str) -> None:
    """One line above the bars; not wrapped, so that it can be searched and copied."""
    bars.console.print(line, soft_wrap=True, highlight=False)


@contextmanager
def _bar(bars: Progress, shown: str) -> Iterator[ProgressCallback]:
    """A bar for one image, and the function that moves it."""
    shown = _escaped(shown)
    task = bars.add_task(shown, total=None)

    def show(step: Step) -> None:
        bars.update(
            task,
            description=f"{shown}: {step.stage}",
            completed=step.done,
            total=step.total or None,
        )

    try:
        yield show
    finally:
        bars.remove_task(task)


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def _summary(written: Sequence[Path]) -> str:
    for path in written:
        if path.name.endswith("_run.json"):
            record = json.loads(path.read_text())
            planes = len(record["planes"])
            in_planes = f" in {planes} planes" if planes > 1 else ""
            return f"{record['instances']} instances{in_planes}"
    return f"{len(written)} files"


def _escaped(text: object) -> str:
    return escape(plain_name(str(text)))
