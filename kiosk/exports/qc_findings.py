"""What the QC sheet knows of a result, and what it finds to say about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kiosk.exports.writer import ResultImage
from kiosk.imaging.plane_quality import PlaneQuality, saturated_share, soft_planes

# What is pointed out.
SATURATED_SHARE, CUT_SHARE = 1e-3, 0.25


@dataclass
class Gathered:
    """What was seen while the planes went by.

    Attributes:
        size: name of the column of sizes, "" if there is none.
        places, counts, quality: t and z, instances and quality of each plane.
        sizes, means: sizes and mean intensities of the instances, in pieces.
        cut: instances that the border cuts.
        picture, labels: (y, x, 3) uint8 and (y, x) uint32 of one plane; `shown` is its number.
    """

    image: ResultImage
    size: str
    places: list[tuple[int, int]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    quality: list[PlaneQuality] = field(default_factory=list)
    sizes: list[np.ndarray] = field(default_factory=list)
    means: list[np.ndarray] = field(default_factory=list)
    instances: int = 0
    cut: int = 0
    picture: np.ndarray | None = None
    labels: np.ndarray | None = None
    shown: int = 0

    @property
    def focus(self) -> np.ndarray:
        """(plane,) float64, 0 for planes without instances: nothing in them could be sharp."""
        focus = np.array([plane.focus for plane in self.quality])
        return np.where(np.array(self.counts) > 0, focus, 0.0)

    def name_of(self, number: int) -> str:
        """Which plane that is, as far as the image has several: "t = 3, z = 0"."""
        lengths = self.image.sizes
        names = zip("tz", self.places[number], strict=True)
        return ", ".join(f"{axis} = {value}" for axis, value in names if lengths[axis] > 1)


def numbers(pieces: Sequence[np.ndarray]) -> np.ndarray:
    """(instance,) float64: those that are numbers."""
    values = np.concatenate([*pieces, np.zeros(0)]).astype(np.float64)
    return values[np.isfinite(values)]


def checks(gathered: Gathered) -> list[tuple[bool, str]]:
    """(whether all is well, sentence) of each thing that was looked at."""
    return [
        _check_instances(gathered),
        _check_saturation(gathered),
        *_check_focus(gathered),
        *_check_border(gathered),
    ]


def _check_instances(gathered: Gathered) -> tuple[bool, str]:
    if not gathered.instances:
        return False, "No instances were found."
    empty = [number for number, count in enumerate(gathered.counts) if count == 0]
    if not empty:
        return True, "Every plane has instances." if len(
            gathered.counts
        ) > 1 else "Instances were found."
    named = _listed([gathered.name_of(number) for number in empty])
    return False, f"{len(empty)} of {len(gathered.counts)} planes have no instances: {named}."


def _check_saturation(gathered: Gathered) -> tuple[bool, str]:
    share = saturated_share(gathered.quality)
    highest = max((plane.highest for plane in gathered.quality if plane.pixels), default=0.0)
    sentence = f"{_percent(share)} of the pixels have the highest grey value, {highest:.6g}."
    return share < SATURATED_SHARE, sentence


def _check_focus(gathered: Gathered) -> list[tuple[bool, str]]:
    """Planes are compared with those at the same z: a stack is sharp in its middle only."""
    focus = gathered.focus
    depths = np.array([z for _, z in gathered.places])
    soft: list[int] = []
    for depth in np.unique(depths):
        here = np.flatnonzero(depths == depth)
        soft += here[soft_planes(focus[here])].tolist()
    if soft:
        named = _listed([gathered.name_of(number) for number in sorted(soft)])
        return [(False, f"Much less sharp than the others: {named}.")]
    if gathered.image.sizes["t"] >= 5:
        return [(True, "No plane is much less sharp than the others.")]
    return []


def _check_border(gathered: Gathered) -> list[tuple[bool, str]]:
    if not gathered.instances or "touches_border" not in gathered.image.columns:
        return []
    share = gathered.cut / gathered.instances
    border = "border of the stack" if gathered.size.startswith("volume") else "border of the plane"
    sentence = f"{_percent(share)} of the instances are cut by the {border}."
    return [(share < CUT_SHARE, sentence)]


def _percent(share: float) -> str:
    if share == 0:
        return "0 %"
    return "Less than 0.01 %" if share < 1e-4 else f"{share * 100:.2g} %"


def _listed(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more
