"""What the metadata of an OME-Zarr image say: axes, sizes of a pixel, channels, levels.

After OME-Zarr 0.4 and 0.5 (ngff.openmicroscopy.org); 0.1 to 0.3 differ in how axes are named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kiosk.adapters.images.channel_colors import of_omero
from kiosk.adapters.images.plain_images import RGB_NAMES, corrupt, unsupported
from kiosk.adapters.images.units import length_um, positive, time_s
from kiosk.adapters.images.zarr_layout import ZarrEntry

_TIME, _CHANNEL, _SPACE = "time", "channel", "space"
MAX_LEVELS = 32
_RGB_LABELS = (RGB_NAMES, ("r", "g", "b"))


@dataclass(frozen=True)
class ZarrAxis:
    """One axis: its role among t, c, z, y, x, and the unit of its scale."""

    role: str
    unit: Any


def axes_of(entry: ZarrEntry, ndim: int, name: str, notes: list[str]) -> tuple[ZarrAxis, ...]:
    """One axis per dimension of the array, slowest first. Raises InvalidRequest.

    Time comes before channels and those before space, as the format has it; where an array's
    axes are in another order its metadata are wrong, and nobody knows in which way.
    """
    listed = entry.multiscale.get("axes")
    if listed is None and ndim == 5:  # versions 0.1 and 0.2
        return tuple(ZarrAxis(role, None) for role in "tczyx")
    if not isinstance(listed, list) or len(listed) != ndim:
        raise corrupt(name, f"its metadata do not name its {ndim} axes")
    items = [item if isinstance(item, dict) else {"name": item} for item in listed]
    names = [str(item.get("name", "")).strip().lower() for item in items]
    kinds = [str(item.get("type") or _kind(word)) for item, word in zip(items, names, strict=True)]
    order = [{_TIME: 0, _SPACE: 2}.get(kind, 1) for kind in kinds]
    if order != sorted(order) or order.count(0) > 1 or order.count(1) > 1:
        raise corrupt(
            name,
            f"its axes have the order {', '.join(names)[:80]}, and OME-Zarr has time, channels,"
            " then space",
        )
    if not 2 <= order.count(2) <= 3:
        raise corrupt(name, "its metadata do not name the axes y and x")
    roles = [{0: "t", 1: "c"}.get(place, "") for place in order]
    roles = roles[: -order.count(2)] + _space(names[-order.count(2) :])
    for role, kind, word in zip(roles, kinds, names, strict=True):
        if role == "c" and kind != _CHANNEL:
            notes.append(f"The axis '{word[:40]}' of the file is taken as channels.")
    return tuple(ZarrAxis(role, item.get("unit")) for role, item in zip(roles, items, strict=True))


def _kind(axis: str) -> str:
    return {"t": _TIME, "c": _CHANNEL}.get(axis, _SPACE if axis in ("z", "y", "x") else "")


def _space(names: Sequence[str]) -> list[str]:
    """Roles of the axes in space: by name, else by place."""
    wanted = ["z", "y", "x"][-len(names) :]
    return list(names) if sorted(names) == sorted(wanted) else wanted


def dataset_paths(entry: ZarrEntry, name: str) -> list[Any]:
    """Paths of the arrays as written, full size first. Raises InvalidRequest."""
    listed = entry.multiscale.get("datasets")
    if not isinstance(listed, list) or not listed:
        raise corrupt(name, "its metadata list no arrays")
    return [item.get("path") if isinstance(item, dict) else "" for item in listed[:MAX_LEVELS]]


def scale_of(entry: ZarrEntry, ndim: int) -> list[float] | None:
    """Sizes of a step along each axis at full size, or None when they are not given."""
    (first, *_) = entry.multiscale["datasets"]
    own = _scale(first, ndim)
    if own is None:
        return None
    common = _scale(entry.multiscale, ndim) or [1.0] * ndim
    return [a * b for a, b in zip(own, common, strict=True)]


def _scale(metadata: Mapping[str, Any], ndim: int) -> list[float] | None:
    """The scale among coordinate transformations; other kinds do not change sizes."""
    listed = metadata.get("coordinateTransformations")
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict) and item.get("type") == "scale":
            values = item.get("scale")
            numbers = [positive(v) for v in values] if isinstance(values, list) else []
            if len(numbers) != ndim or None in numbers:
                return None
            return [number for number in numbers if number is not None]
    return None


@dataclass(frozen=True)
class Steps:
    """Distances between neighbours along the axes; None where the file does not say."""

    pixel_size_um: tuple[float, float] | None
    z_step_um: float | None
    frame_interval_s: float | None


def steps_of(entry: ZarrEntry, axes: Sequence[ZarrAxis], notes: list[str]) -> Steps:
    """Pixel size, z step and frame interval, as far as their units are known."""
    scale = scale_of(entry, len(axes))
    if scale is None:
        return Steps(None, None, None)
    at = {axis.role: (value, axis.unit) for axis, value in zip(axes, scale, strict=True)}
    y, x = length_um(*at["y"]), length_um(*at["x"])
    if at["x"][1] is None and at["x"][0] != 1:
        notes.append(
            f"The file gives a pixel size of {at['x'][0]:g} without a unit; it is not used."
        )
    return Steps(
        pixel_size_um=None if y is None or x is None else (y, x),
        z_step_um=length_um(*at["z"]) if "z" in at else None,
        frame_interval_s=time_s(*at["t"]) if "t" in at else None,
    )


def channel_colors(entry: ZarrEntry, count: int) -> tuple[str, ...]:
    """One per channel, as in `channel_colors`."""
    return tuple(of_omero(value) for value in _of_channels(entry, count, "color"))


def _of_channels(entry: ZarrEntry, count: int, key: str) -> list[Any]:
    """What the file says of each channel, None where it says nothing."""
    channels = entry.omero.get("channels")
    items = channels if isinstance(channels, list) and len(channels) == count else [{}] * count
    return [item.get(key) if isinstance(item, dict) else None for item in items]


def channel_names(entry: ZarrEntry, count: int) -> tuple[str, ...]:
    """One name per channel; "channel 0" and so on where the file has none."""
    labels = _of_channels(entry, count, "label")
    names = ["" if label is None else str(label).strip()[:200] for label in labels]
    return tuple(name or f"channel {index}" for index, name in enumerate(names))


def is_rgb(names: Sequence[str]) -> bool:
    """Whether channels are named as the colours of one picture."""
    return tuple(name.lower() for name in names) in _RGB_LABELS


def shrinks_evenly(full: tuple[int, int], level: tuple[int, int]) -> bool:
    """Whether a level is the full plane made smaller by one factor, up to rounding."""
    if not all(1 <= small <= large for small, large in zip(level, full, strict=True)):
        return False
    if level == full:
        return False
    ratio = math.log(full[0] / level[0]) - math.log(full[1] / level[1])
    return abs(ratio) <= 1.5 * (1 / level[0] + 1 / level[1])


def check_version(entry: ZarrEntry, name: str) -> None:
    """Refuse what comes after 0.5, where axes and scales are written in another way."""
    if "axes" not in entry.multiscale and "coordinateSystems" in entry.multiscale:
        raise unsupported(
            name,
            f"is OME-Zarr {entry.version or 'newer than 0.5'}, which is not read yet; save it as"
            " OME-Zarr 0.5.",
        )
