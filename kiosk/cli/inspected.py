"""Inspected files on the terminal, as JSON and as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from kiosk.cli.terminal import console
from kiosk.errors import KioskError
from kiosk.image_paths import is_zip
from kiosk.jobs import plain_name, result_stem
from kiosk.reading import InspectedImage

_COUNTED = {"z": "z-planes", "t": "time points", "c": "channels"}
# Names that are shown; a spectral image has hundreds.
MOST_CHANNELS = 32


@dataclass(frozen=True)
class Inspected:
    """A file and its images, or why it cannot be read as a whole."""

    path: Path
    images: Sequence[InspectedImage] = field(default_factory=list)
    error: KioskError | None = None

    @property
    def is_readable(self) -> bool:
        return any(image.error is None for image in self.images)


def print_file(found: Inspected) -> None:
    """The name of the file, then a block per image: what it is, and what was guessed."""
    name = plain_name(found.path.name)
    console.print(name, style="bold", markup=False, highlight=False, soft_wrap=True)
    if found.error:
        _line(found.error.message, "red")
    for number, image in enumerate(found.images):
        if number:
            console.print()
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for name, value in _facts(image, len(found.images)):
            table.add_row(f"  {name}", plain_name(value))
        if table.row_count:
            console.print(table, highlight=False, markup=False)
        for note in image.notes:
            _line(note, "yellow")
        if image.error:
            _line(image.error.message, "red")
    if len(found.images) > 1:
        console.print()
        _line(f"{len(found.images)} images. {_which(found.path)}")
    console.print()


def as_json_list(files: Sequence[Inspected]) -> list[dict[str, Any]]:
    """One object per image, or per file that cannot be read; `file` is its path."""
    from kiosk.wire import image_to_json

    listed: list[dict[str, Any]] = []
    for found in files:
        where = {"file": str(found.path)}
        if found.error:
            error = {"reason": found.error.reason, "message": found.error.message}
            listed.append({**where, "error": error})
        for image in found.images:
            values = image_to_json(image)
            values.pop("thumbnail")  # written as a file, where asked for
            listed.append({**where, **values})
    return listed


def write_thumbnails(found: Inspected, folder: Path) -> list[Path]:
    """PNG files NAME_0.png and so on, one per image that could be read."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, image in enumerate(found.images):
        if image.thumbnail:
            path = folder / f"{result_stem(found.path.name)}_{number}.png"
            path.write_bytes(image.thumbnail)
            written.append(path)
    return written


def _line(sentence: str, style: str = "") -> None:
    console.print(
        f"  {plain_name(sentence)}", style=style, markup=False, highlight=False, soft_wrap=True
    )


def _which(path: Path) -> str:
    if is_zip(path):
        return "`kiosk segment` makes one job for each."
    return "`kiosk segment` takes the first, or the one that you choose with --series."


def _facts(image: InspectedImage, count: int) -> list[tuple[str, str]]:
    facts = [("image", name)] if (name := _name(image, count)) else []
    if not image.sizes:
        return facts
    facts += [
        ("format", f"{image.format}, {image.dtype}"),
        ("size", _size(image.sizes)),
        ("axes in the file", image.axes),
        ("channels", _channels(image)),
        ("pixel size", _pixel_size(image)),
    ]
    if image.z_step_um:
        facts.append(("z step", f"{image.z_step_um:g} µm"))
    if image.frame_interval_s:
        facts.append(("frame interval", f"{image.frame_interval_s:g} s"))
    if len(image.levels) > 1:
        shown = ", ".join(f"{width} x {height}" for height, width in image.levels)
        facts.append(("resolutions", shown))
    return facts


def _name(image: InspectedImage, count: int) -> str:
    reading = image.reading
    series = f"series {reading.series}" if count > 1 and not reading.member else ""
    title = image.title if image.title != reading.member else ""
    return ", ".join(part for part in (reading.member, series, title) if part)


def _size(sizes: dict[str, int]) -> str:
    parts = [f"{sizes['x']} x {sizes['y']} px"]
    parts += [f"{sizes[axis]} {many}" for axis, many in _COUNTED.items() if sizes[axis] > 1]
    return ", ".join(parts)


def _channels(image: InspectedImage) -> str:
    names = image.channel_names
    shown = ", ".join(f"{number}: {name}" for number, name in enumerate(names[:MOST_CHANNELS]))
    return shown + (f", ... ({len(names)} in all)" if len(names) > MOST_CHANNELS else "")


def _pixel_size(image: InspectedImage) -> str:
    if image.pixel_size_um is None:
        return "not known; give --pixel-size-um to have micrometres in the table"
    y, x = image.pixel_size_um
    return f"{x:g} µm" if y == x else f"{x:g} x {y:g} µm (x, y)"
