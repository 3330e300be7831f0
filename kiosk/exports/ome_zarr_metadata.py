"""The metadata of OME-Zarr 0.5, https://ngff.openmicroscopy.org/0.5/, as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kiosk.exports.writer import ResultImage
from kiosk.imaging.intensity import Limits

VERSION = "0.5"
LABELS_NAME = "instances"
_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
_RGB = ("FF0000", "00FF00", "0000FF")
# For fluorescence: told apart when they are added up, also with red-green blindness.
_COLOURS = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF")


def axes_of(image: ResultImage) -> tuple[str, ...]:
    """The axes in order: t, c and z only where there is more than one."""
    return tuple(axis for axis in "tczyx" if axis in "yx" or image.sizes[axis] > 1)


def image_attributes(
    image: ResultImage, levels: int, limits: Sequence[Limits], colours: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """Attributes of the group of the image.

    Args:
        limits: grey values to show as black and white, one for each channel.
        colours: "#RRGGBB" of each channel, "" for one of ours; none = ours for all.
    """
    ome = {
        "version": VERSION,
        "multiscales": [_multiscale(image, levels, image.stem, "mean")],
        "omero": _omero(image, limits, colours),
    }
    return {"ome": ome, "kiosk": dict(image.about or {})}


def labels_attributes(name: str = LABELS_NAME) -> dict[str, dict[str, Any]]:
    """Attributes of the group that lists the label images."""
    return {"ome": {"version": VERSION, "labels": [name]}}


def label_image_attributes(
    image: ResultImage, levels: int, name: str = LABELS_NAME
) -> dict[str, dict[str, Any]]:
    """Attributes of the group of the label image.

    Colours are left out: a list of all instances would be larger than the labels, and viewers
    show only those that are listed.
    """
    return {
        "ome": {
            "version": VERSION,
            "multiscales": [_multiscale(image, levels, name, "nearest")],
            "image-label": {"version": VERSION, "source": {"image": "../../"}},
        }
    }


def as_version_04(attributes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The same attributes as OME-Zarr 0.4 has them, https://ngff.openmicroscopy.org/0.4/: without
    a group of their own, and the version in each of them."""
    version = {"version": "0.4"}
    found: dict[str, Any] = {name: value for name, value in attributes.items() if name != "ome"}
    for name, value in attributes["ome"].items():
        if name == "multiscales":
            found[name] = [{**version, **multiscale} for multiscale in value]
        elif name in ("omero", "image-label"):
            found[name] = {**value, **version}
        elif name != "version":
            found[name] = value
    return found


def _multiscale(image: ResultImage, levels: int, name: str, method: str) -> dict[str, Any]:
    datasets = []
    for level in range(levels):
        scale = [_scale(image, axis, level) for axis in axes_of(image)]
        transformations = [{"type": "scale", "scale": scale}]
        datasets.append({"path": str(level), "coordinateTransformations": transformations})
    return {
        "name": name,
        "axes": [_axis(image, axis) for axis in axes_of(image)],
        "datasets": datasets,
        "type": method,
        "metadata": {"description": f"{method} of 2 x 2 pixels from level to level"},
    }


def _axis(image: ResultImage, axis: str) -> dict[str, str]:
    unit = ""
    if _length(image, axis):
        unit = "second" if axis == "t" else "micrometer"
    return {"name": axis, "type": _TYPES[axis]} | ({"unit": unit} if unit else {})


def _scale(image: ResultImage, axis: str, level: int) -> float:
    """Micrometres or seconds where they are known, else the factor to the first level."""
    return (_length(image, axis) or 1.0) * (2**level if axis in "yx" else 1)


def _length(image: ResultImage, axis: str) -> float | None:
    size_y, size_x = image.pixel_size_um or (None, None)
    lengths = {"t": image.frame_interval_s, "z": image.z_step_um, "y": size_y, "x": size_x}
    return lengths.get(axis)


def _omero(image: ResultImage, limits: Sequence[Limits], known: Sequence[str]) -> dict[str, Any]:
    """How to show the channels; transitional in the specification, but viewers read it."""
    if image.is_rgb:
        colours: Sequence[str] = _RGB
    else:
        colours = _COLOURS if len(image.channel_names) > 1 else ("FFFFFF",)
    given = [colour.removeprefix("#") for colour in known] or [""] * len(image.channel_names)
    channels = [
        {
            "label": name,
            "color": given[number] or colours[number % len(colours)],
            "active": True,
            "window": _window(image.dtype, limits[number]),
        }
        for number, name in enumerate(image.channel_names)
    ]
    model = "color" if len(channels) > 1 else "greyscale"
    return {"channels": channels, "rdefs": {"defaultT": 0, "defaultZ": 0, "model": model}}


def _window(dtype: np.dtype[Any], limits: Limits) -> dict[str, float]:
    lowest, highest = limits.low, limits.high
    if dtype.kind in "iu":
        lowest, highest = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return {"start": limits.low, "end": limits.high, "min": lowest, "max": highest}
