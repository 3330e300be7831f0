"""Many files through a kiosk at once, with progress on the terminal: `kiosk segment`, `watch`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kiosk.client import AsyncKiosk
from kiosk.client import Progress as Step
from kiosk.errors import InvalidRequest, KioskError

# Files at a time: enough that uploads, inference and downloads overlap.
FILES_IN_FLIGHT = 4
IMAGE_SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg"}
# A file in a watched folder is taken once its size has not changed between two looks.
LOOK_S = 2.0


@dataclass(frozen=True, kw_only=True)
class SegmentRequest:
    """What to do with every file of a batch."""

    out: Path
    model: str
    version: str = ""
    channel: str = ""
    parameters: Mapping[str, float] = field(default_factory=dict)


def find_images(paths: Sequence[Path]) -> list[Path]:
    """The files named, and the images in the folders named, in order.

    Raises:
        InvalidRequest: a path does not exist, a folder holds no image, or two files would
            write results of the same name.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            images = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not images:
                raise InvalidRequest(f"There is no TIFF, PNG or JPEG file in '{path}'.")
            found += images
        elif path.exists():
            found.append(path)
        else:
            raise InvalidRequest(f"The file '{path}' does not exist.")
    seen: dict[str, Path] = {}
    for path in found:
        other = seen.setdefault(path.stem, path)
        if other is not path:
            raise InvalidRequest(
                f"'{other}' and '{path}' would both write {path.stem}_labels.tif. Run them with"
                " different --out folders."
            )
    return found


async def segment_files(
    kiosk: AsyncKiosk, files: Sequence[Path], request: SegmentRequest, console: Console
) -> int:
    """Segment all files; prints one line per file. Returns how many failed."""
    slots = asyncio.Semaphore(FILES_IN_FLIGHT)
    with _bars(console) as bars:
        total = bars.add_task("files", total=len(files), visible=len(files) > 1)

        async def one(path: Path) -> bool:
            async with slots:
                done = await segment_file(kiosk, path, request, bars)
                bars.advance(total)
                return done

        succeeded = await asyncio.gather(*(one(path) for path in files))
    return succeeded.count(False)


async def segment_file(
    kiosk: AsyncKiosk, path: Path, request: SegmentRequest, bars: Progress
) -> bool:
    """One file all the way; prints how it went. Returns whether it succeeded."""
    task = bars.add_task(path.name, total=None)

    def show(step: Step) -> None:
        bars.update(
            task,
            description=f"{path.name}: {step.stage}",
            completed=step.done,
            total=step.total or None,
        )

    started = time.monotonic()
    try:
        upload = await kiosk.upload(path, progress=show)
        job = await kiosk.submit(
            upload,
            model=request.model,
            version=request.version,
            channel=request.channel,
            parameters=request.parameters,
        )
        job = await kiosk.wait(job.name, progress=show)
        written = await kiosk.download(job.name, request.out, stem=path.stem)
    except KioskError as error:
        _say(bars, f"[red]failed[/red] {_escaped(path)}: {_escaped(error.message)}")
        return False
    except OSError as error:
        _say(bars, f"[red]failed[/red] {_escaped(path)}: {_escaped(error)}")
        return False
    finally:
        bars.remove_task(task)
    seconds = time.monotonic() - started
    _say(bars, f"[green]done[/green]   {_escaped(path)}: {_summary(written)}, {seconds:.1f} s")
    for note in job.notes:
        _say(bars, f"[dim]       {_escaped(note)}[/dim]")
    return True


async def watch_folder(
    kiosk: AsyncKiosk, folder: Path, request: SegmentRequest, console: Console
) -> None:
    """Segment every image that appears in a folder, until interrupted.

    A file whose results are in the output folder already is left alone, so a restart goes on
    where it stopped.
    """
    with _bars(console) as bars:
        async for path in _arrivals(folder, request.out):
            await segment_file(kiosk, path, request, bars)


async def _arrivals(folder: Path, out: Path) -> AsyncIterator[Path]:
    sizes: dict[Path, int] = {}
    taken: set[Path] = set()
    while True:
        for path in sorted(await asyncio.to_thread(lambda: list(folder.iterdir()))):
            if path.suffix.lower() not in IMAGE_SUFFIXES or path in taken:
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
    return str(text).replace("[", "\\[")
