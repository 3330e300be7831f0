"""Inspected images on the terminal and as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from kiosk.cli.terminal import console, plain
from kiosk.jobs import plain_name
from kiosk.reading import InspectedImage


def print_images(images: Sequence[InspectedImage]) -> None:
    """One block per image: what it is, and what was guessed."""
    for image in images:
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, value in _facts(image):
            table.add_row(f"[bold]{name}[/bold]", plain(value))
        console.print(table)
        for note in image.notes:
            console.print(f"  {plain_name(note)}", style="dim", markup=False, soft_wrap=True)
        if image.error:
            message = plain_name(image.error.message)
            console.print(f"  {message}", style="red", markup=False, soft_wrap=True)
        console.print()
    if len(images) > 1:
        console.print(f"{len(images)} images. A job takes one: give --series, or a zip as it is.")


def write_thumbnails(images: Sequence[InspectedImage], folder: Path, stem: str) -> None:
    """PNG files NAME_0.png and so on, one per image that could be read."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        if image.thumbnail:
            path = folder / f"{stem}_{number}.png"
            path.write_bytes(image.thumbnail)
            console.print(f"wrote {path}", highlight=False)


def _facts(image: InspectedImage) -> list[tuple[str, str]]:
    where = image.reading.member or (f"series {image.reading.series}" if image.title else "")
    name = " ".join(part for part in (where, image.title) if part)
    facts = [("image", name)] if name else []
    if not image.sizes:
        return facts
    sizes = image.sizes
    lengths = [f"{axis} {sizes[axis]}" for axis in "tczyx" if sizes[axis] > 1 or axis in "yx"]
    facts += [
        ("format", f"{image.format}, {image.dtype}"),
        ("size", ", ".join(lengths) + f" (axes in the file: {image.axes})"),
        ("channels", ", ".join(f"{i}: {name}" for i, name in enumerate(image.channel_names))),
        ("pixel size", _pixel_size(image)),
    ]
    if image.z_step_um:
        facts.append(("z step", f"{image.z_step_um:g} \u00b5m"))
    if image.frame_interval_s:
        facts.append(("frame interval", f"{image.frame_interval_s:g} s"))
    if len(image.levels) > 1:
        shown = ", ".join(f"{width} x {height}" for height, width in image.levels)
        facts.append(("resolutions", shown))
    return facts


def _pixel_size(image: InspectedImage) -> str:
    if image.pixel_size_um is None:
        return "not known; give --pixel-size-um to have micrometres in the table"
    y, x = image.pixel_size_um
    return f"{x:g} \u00b5m" if y == x else f"{x:g} x {y:g} \u00b5m"
