"""What callers of the client library may write, as the API takes it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from kiosk._proto import kiosk_pb2 as pb
from kiosk.errors import InvalidRequest
from kiosk.jobs import JobState
from kiosk.reading import ReadOptions

# A rectangle of a plane: (min_y_px, min_x_px, max_y_px, max_x_px), the maxima not included.
Rectangle = tuple[int, int, int, int]


def read_options(**options: Any) -> pb.ReadOptions:
    """Checked by being made, before anything is sent."""
    return pb.ReadOptions(**vars(ReadOptions(**options)))


def region_of(region: Rectangle | None) -> pb.Region | None:
    if region is None:
        return None
    try:
        min_y, min_x, max_y, max_x = (operator.index(edge) for edge in region)
        return pb.Region(min_y_px=min_y, min_x_px=min_x, max_y_px=max_y, max_x_px=max_x)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(
            f"The region {region!r} is not four whole numbers: min_y_px, min_x_px, max_y_px,"
            " max_x_px.",
            reason="BAD_REGION",
            field="region",
        ) from error


def plane_of(plane: tuple[int, int] | None) -> pb.Plane | None:
    """Of (t, z). Raises InvalidRequest."""
    if plane is None:
        return None
    try:
        t, z = (operator.index(number) for number in plane)
        return pb.Plane(t=t, z=z)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(
            f"The plane {plane!r} is not two whole numbers: t, z.",
            reason="BAD_PLANE",
            field="plane",
        ) from error


def state_of(state: str) -> Any:
    """A pb.JobState, that of "" being any. Raises InvalidRequest."""
    try:
        return pb.JobState.Value(f"JOB_STATE_{state.upper() or 'UNSPECIFIED'}")
    except ValueError:
        known = ", ".join(value.value for value in JobState)
        raise InvalidRequest(
            f"There is no state '{state}'. The states are: {known}.", field="state"
        ) from None


def format_list(formats: Sequence[str] | str) -> Sequence[str]:
    """Names in a list, or in one text with commas."""
    return formats.split(",") if isinstance(formats, str) and formats else formats


def priority_of(priority: str) -> Any:
    """A pb.Priority. Raises InvalidRequest for a word that is none."""
    if priority not in ("", "interactive", "batch"):
        raise InvalidRequest(
            f"The priority '{priority}' is neither interactive nor batch.", field="priority"
        )
    return pb.Priority.Value(f"PRIORITY_{priority.upper() or 'UNSPECIFIED'}")


def as_labels(mask: np.ndarray) -> np.ndarray:
    """True is label 1."""
    return mask.astype(np.uint8) if mask.dtype == np.bool_ else mask


def mask_axes(within: object, axes: str, volume: bool) -> str:
    """Axes of a mask that is an array: those of its image without channels, where they fit."""
    count = within.ndim if isinstance(within, np.ndarray) else 0
    planes = "".join(axis for axis in axes.upper() if axis not in "CS")
    return planes if len(planes) == count else stack_axes(within, volume)


def stack_axes(pixels: object, volume: bool) -> str:
    """What an array of three axes is when nobody says so: depths of a volume, or time points."""
    return "ZYX" if volume and isinstance(pixels, np.ndarray) and pixels.ndim == 3 else ""
