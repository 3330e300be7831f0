"""The metadata of GEFF 1.2, https://liveimagetrackingtools.org/geff/, as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kiosk.exports.writer import ResultImage
from kiosk.imaging.columns import describe_column

VERSION = "1.2"
# Axis -> column of the table of instances.
SPACE_COLUMNS = {"z": "z_px", "y": "y_px", "x": "x_px"}
NODE_MEANINGS = {
    "track_id": "number of the track, and of the cell in the tracked label image",
    "tracklet_id": "the track; for an only daughter the tracklet of her mother",
    "root_id": "first track of the family",
    "parent_id": "track of the mother, or 0",
    "generation": "divisions since the first ancestor",
}


def metadata(
    image: ResultImage,
    node_dtypes: Mapping[str, np.dtype[Any]],
    ranges: Mapping[str, tuple[float, float]],
) -> dict[str, Any]:
    """The value of the attribute `geff` of the group.

    Args:
        node_dtypes: type of each property of a node, the axes included.
        ranges: smallest and largest value along each axis; empty without nodes.
    """
    axes = [axis for axis in ("t", *SPACE_COLUMNS) if axis in node_dtypes]
    depth = {"display_depth": "z"} if "z" in axes else {}
    return {
        "geff_version": VERSION,
        "directed": True,
        "axes": [_axis(image, axis, ranges) for axis in axes],
        "node_props_metadata": {
            name: _node_property(name, dtype) for name, dtype in node_dtypes.items()
        },
        "edge_props_metadata": {
            "confidence": {
                "identifier": "confidence",
                "dtype": "float32",
                "description": "how sure the link is, 0 to 1",
            }
        },
        "track_node_props": {"lineage": "root_id", "tracklet": "tracklet_id"},
        "display_hints": {
            "display_horizontal": "x",
            "display_vertical": "y",
            "display_time": "t",
            **depth,
        },
        "extra": {"kiosk": dict(image.about or {})},
    }


def _axis(
    image: ResultImage, axis: str, ranges: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    size_y, size_x = image.pixel_size_um or (None, None)
    sizes = {"t": image.frame_interval_s, "z": image.z_step_um, "y": size_y, "x": size_x}
    is_time = axis == "t"
    found: dict[str, Any] = {
        "name": axis,
        "type": "time" if is_time else "space",
        "unit": "frame" if is_time else "pixel",
    }
    if axis in ranges:
        found["min"], found["max"] = ranges[axis]
    if size := sizes[axis]:
        found |= {"scale": size, "scaled_unit": "second" if is_time else "micrometer"}
    return found


def _node_property(name: str, dtype: np.dtype[Any]) -> dict[str, str]:
    found = {"identifier": name, "dtype": dtype.name}
    column = describe_column(SPACE_COLUMNS.get(name, name))
    if column.unit and name not in SPACE_COLUMNS:
        found["unit"] = column.unit
    if meaning := NODE_MEANINGS.get(name, column.meaning):
        found["description"] = meaning
    return found
