"""Outlines as ImageJ ROIs in a zip, which Fiji's ROI Manager opens.

Corners are integers; ImageJ counts a pixel to an area when its centre is inside, so that filling
gives the instance back exactly. An instance of several pieces or with holes is one composite ROI.

Positions count from 1 as in hyperstacks; c = 0 stands for all channels, so that "Measure" works
on the channel that is shown. The names of ROIs of a stack begin like those that Fiji gives
(image number, y and x of the centre), because a plain stack finds its image by them, and end with
the label; those of a single plane are the label.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kiosk.exports.outlines import traced
from kiosk.exports.stored_zip import StoredZip
from kiosk.exports.writer import LabelPlane, ResultImage, Table, Writer
from kiosk.imaging.polygons import Rings

# Integer coordinates of the format end here; beyond they are floats.
INTEGER_PX = 60_535
WIDEST_PX = 32_767
_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0


class RoiZip(Writer):
    """One ROI per instance and plane, stored without compression."""

    def __init__(self, path: Path, image: ResultImage) -> None:
        super().__init__(path, image)
        self._zip = StoredZip(path)
        sizes = self._sizes = image.whole_sizes
        self._channels = 1 if image.is_rgb else sizes["c"]
        self._planes = sizes["t"] * sizes["z"]
        is_wide = max(self._planes * self._channels, sizes["y"], sizes["x"]) > 9999
        self._digits = 5 if is_wide else 4

    def add_instances(self, plane: LabelPlane, boxes: Table) -> None:
        for rings in traced(plane, boxes):
            for name, data in self._rois(plane, rings):
                self._zip.add(f"{name}.roi", data)

    def _rois(self, plane: LabelPlane, rings: Rings) -> Iterator[tuple[str, bytes]]:
        from roifile import ImagejRoi

        place = self._place(plane)
        for label, _, polygons in rings.instances():
            numbers = [number for polygon in polygons for number in polygon]
            points = [rings.ring(number) for number in numbers]
            outer = points[0] if len(points) == 1 else np.concatenate(points)
            left, top = outer.min(axis=0).tolist()
            right, bottom = outer.max(axis=0).tolist()
            box = {"left": left, "top": top, "right": right, "bottom": bottom}
            name = self._name(plane, label, (top + bottom) // 2, (left + right) // 2)
            shape = _outline(outer, left, top) if len(points) == 1 else _composite(points)
            yield name, ImagejRoi(name=name, **box, **shape, **place).tobytes()

    def _place(self, plane: LabelPlane) -> dict[str, int]:
        if self._planes == 1:
            return {}
        place = {"t_position": plane.t + 1, "z_position": plane.z + 1}
        if self._channels == 1 and 1 in (self._sizes["t"], self._sizes["z"]):
            place["position"] = self._number(plane)  # a plain stack
        return place

    def _name(self, plane: LabelPlane, label: int, y: int, x: int) -> str:
        if self._planes == 1:
            return f"{label:06d}"
        numbers = self._number(plane), y, x
        return "-".join(f"{number:0{self._digits}d}" for number in numbers) + f"-{label:06d}"

    def _number(self, plane: LabelPlane) -> int:
        """Number of the image in the stack: channels inside, then z, then t."""
        return (plane.t * self._sizes["z"] + plane.z) * self._channels + 1

    def close(self) -> None:
        self._zip.close()

    def discard(self) -> None:
        self._zip.discard()


def _outline(points: np.ndarray, left: int, top: int) -> dict[str, Any]:
    """A single ring, as ImageJ's own tracing of a region gives it."""
    from roifile import ROI_OPTIONS, ROI_TYPE

    relative = points - (left, top)
    shape = {
        "roitype": ROI_TYPE.TRACED,
        "n_coordinates": len(points),
        "integer_coordinates": relative.astype(np.int32),
    }
    if points.max() > INTEGER_PX or relative.max() > WIDEST_PX:
        shape["subpixel_coordinates"] = points.astype(np.float32)
        shape["options"] = ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    return shape


def _composite(rings: list[np.ndarray]) -> dict[str, Any]:
    """Several rings; where they overlap an odd number of times is inside."""
    from roifile import ROI_TYPE

    pieces = []
    for ring in rings:
        steps = np.full((len(ring), 1), _LINE)
        steps[0] = _MOVE
        pieces += [np.hstack([steps, ring]).ravel(), np.array([_CLOSE])]
    path = np.concatenate(pieces).astype(np.float32)
    return {"roitype": ROI_TYPE.RECT, "shape_roi_size": len(path), "multi_coordinates": path}
