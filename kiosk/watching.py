"""A folder that a microscope writes into: `kiosk watch`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from rich.console import Console

from kiosk.batch import Batch, Outcome, SegmentRequest
from kiosk.client import AsyncKiosk
from kiosk.folder_zip import natural_key
from kiosk.image_paths import has_results, is_image
from kiosk.progress_lines import ProgressLines

# A file in a watched folder is taken once its size has not changed between two looks.
LOOK_S = 2.0
# After the kiosk could not be reached.
AWAY_S = 30.0


async def watch_folder(
    kiosk: AsyncKiosk, folder: Path, request: SegmentRequest, console: Console
) -> None:
    """Segment every image and zip that appears in a folder, until interrupted.

    A file whose results are in the output folder already is left alone, so a restart goes on
    where it stopped. While the kiosk cannot be reached, files wait.
    """
    taken: set[Path] = set()
    with ProgressLines(console) as lines:
        batch = Batch(kiosk, request, lines)
        async for path in _arrivals(folder, request.out, taken):
            if Outcome.UNREACHABLE in await batch.file(str(path)):
                taken.discard(path)
                await asyncio.sleep(AWAY_S)


async def _arrivals(folder: Path, out: Path, taken: set[Path]) -> AsyncIterator[Path]:
    sizes: dict[Path, int] = {}
    while True:
        for path, size in await asyncio.to_thread(_files, folder):
            if path in taken:
                continue
            if path not in sizes and has_results(str(path), out):
                taken.add(path)
            elif size and sizes.get(path) == size:
                taken.add(path)
                yield path
            sizes[path] = size
        await asyncio.sleep(LOOK_S)


def _files(folder: Path) -> list[tuple[Path, int]]:
    """Images and zips in a folder with their sizes; none while it cannot be read."""
    found = []
    try:
        for path in sorted(folder.iterdir(), key=lambda p: natural_key(p.name)):
            if is_image(path) and path.is_file():
                found.append((path, path.stat().st_size))
    except OSError:  # renamed just now, or the network is away
        pass
    return found
