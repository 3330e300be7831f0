"""What is thrown at the kiosk: images of several kinds, some of them made to fail."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import tifffile

from kiosk.imaging.sample import make_sample
from tests.chaos.traps import HANGS, KILLS_ON_OPENING, KILLS_ON_READING

SIDE_PX = 64
STACK_FRAMES = 200


class Kind(StrEnum):
    """Kinds of inputs, and how many of 1,000 jobs are of each."""

    IMAGE = "one image"
    STACK = "long stack"
    ZIP = "image in a zip"
    BROKEN = "damaged image"
    POISON = "kills its consumer"
    HANG = "hangs its consumer"


SHARES = {
    Kind.IMAGE: 670,
    Kind.ZIP: 210,
    Kind.STACK: 50,
    Kind.BROKEN: 30,
    Kind.POISON: 20,
    Kind.HANG: 20,
}


@dataclass(frozen=True, kw_only=True)
class Input:
    """A file and how to ask for it; equal inputs have equal results."""

    kind: Kind
    file_name: str
    data: bytes = field(repr=False)
    member: str = ""
    # Who gives the diameter spares the plan from looking at pixels, so the parts meet the trap.
    diameter_px: float = 0.0

    @property
    def succeeds(self) -> bool:
        return self.kind in (Kind.IMAGE, Kind.STACK, Kind.ZIP)


def make_inputs(seed: int, stack_frames: int = STACK_FRAMES) -> dict[Kind, list[Input]]:
    """Distinct inputs of every kind; the same seed makes the same bytes."""
    stacks = [tiff(movie(seed * 100 + n, stack_frames)) for n in range(4)]
    images = [tiff(movie(seed * 100 + 10 + n, 1)[0]) for n in range(10)]
    archives = [
        zipped({f"well {n}/{m}.tif": tiff(movie(seed * 100 + 30 + 3 * n + m, 2)) for m in range(3)})
        for n in range(3)
    ]
    trap = tiff(movie(seed * 100 + 50, 3))
    return {
        Kind.IMAGE: [file(Kind.IMAGE, f"image_{n}.tif", data) for n, data in enumerate(images)],
        Kind.STACK: [file(Kind.STACK, f"stack_{n}.tif", data) for n, data in enumerate(stacks)],
        Kind.ZIP: [
            file(Kind.ZIP, f"plate_{n}.zip", data, f"well {n}/{m}.tif")
            for n, data in enumerate(archives)
            for m in range(3)
        ],
        Kind.BROKEN: [file(Kind.BROKEN, "broken.tif", damaged(seed))],
        Kind.POISON: [
            Input(kind=Kind.POISON, file_name=f"{name}.tif", data=trap, diameter_px=diameter_px)
            for name, diameter_px in (
                (KILLS_ON_READING, 28.0),
                (KILLS_ON_OPENING, 0.0),
                (KILLS_ON_READING, 0.0),
            )
        ],
        Kind.HANG: [
            Input(kind=Kind.HANG, file_name=f"{HANGS}.tif", data=trap, diameter_px=diameter_px)
            for diameter_px in (0.0, 28.0)
        ],
    }


def choose(inputs: dict[Kind, list[Input]], count: int, seed: int) -> list[Input]:
    """So many inputs in random order, every kind among them."""
    dice = random.Random(seed)
    numbers = {kind: max(1, round(count * share / 1000)) for kind, share in SHARES.items()}
    numbers[Kind.IMAGE] += count - sum(numbers.values())
    chosen = [
        inputs[kind][n % len(inputs[kind])]
        for kind, number in numbers.items()
        for n in range(number)
    ]
    dice.shuffle(chosen)
    return chosen


def file(kind: Kind, file_name: str, data: bytes, member: str = "") -> Input:
    return Input(kind=kind, file_name=file_name, data=data, member=member)


def movie(seed: int, frames: int) -> np.ndarray:
    """(t, y, x) uint16 with a few nuclei."""
    return make_sample(
        frames=frames, height_px=SIDE_PX, width_px=SIDE_PX, nuclei=4, seed=seed
    ).images


def tiff(image: np.ndarray) -> bytes:
    target = io.BytesIO()
    axes = "TYX" if image.ndim == 3 else "YX"
    tifffile.imwrite(target, image, photometric="minisblack", metadata={"axes": axes})
    return target.getvalue()


def damaged(seed: int) -> bytes:
    """A compressed frame whose data are noise: its headers are in order, its pixels are not."""
    target = io.BytesIO()
    image = movie(seed * 100 + 60, 1)[0]
    tifffile.imwrite(target, image, compression="zlib", photometric="minisblack")
    data = bytearray(target.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as opened:
        start, size = opened.pages[0].dataoffsets[0], opened.pages[0].databytecounts[0]
    data[start : start + size] = random.Random(seed).randbytes(size)
    return bytes(data)


def zipped(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return target.getvalue()


def distinct(inputs: Sequence[Input]) -> list[Input]:
    """Each input once, of those that end in results."""
    return list({(item.file_name, item.member): item for item in inputs if item.succeeds}.values())
