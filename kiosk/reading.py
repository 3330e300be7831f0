"""Which image of a file is meant, how the caller wants it read, and how it is then seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from kiosk.errors import InvalidRequest, KioskError

AXES = "TCZYXS"


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How to read an upload. The defaults mean: as the file says.

    Attributes:
        member: path of the image inside a zip; "" where the file is the image.
        series: number of the image inside a file that holds several, from 0.
        axes: what the axes of the file are, slowest first, letters of TCZYXS; for files that do
            not say it or say it wrongly. Every axis longer than 1 must be named.
        pixel_size_um: side of a pixel in micrometres, in place of what the file says; 0 = as it
            says.
        z_step_um: distance of planes along z in micrometres; 0 = as the file says.
    """

    member: str = ""
    series: int = 0
    axes: str = ""
    pixel_size_um: float = 0.0
    z_step_um: float = 0.0

    def __post_init__(self) -> None:
        letters = self.axes.upper()
        if set(letters) - set(AXES) or len(set(letters)) != len(letters):
            raise InvalidRequest(
                f"The axes '{self.axes}' are not an order of axes. Name each axis of the image"
                " once, slowest first, with the letters T, C, Z, Y, X, for example ZYX.",
                reason="BAD_AXES",
                field="axes",
            )
        if letters and not {"Y", "X"} <= set(letters):
            raise InvalidRequest(
                f"The axes '{self.axes}' lack Y or X; name all axes, for example TZYX.",
                reason="BAD_AXES",
                field="axes",
            )
        object.__setattr__(self, "axes", letters)
        for name in ("pixel_size_um", "z_step_um"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise InvalidRequest(
                    f"{name} must be a positive number of micrometres, not {value:g}.",
                    reason="BAD_PIXEL_SIZE",
                    field=name,
                )
        if self.series < 0:
            raise InvalidRequest(
                "Series are counted from 0.", reason="SERIES_NOT_FOUND", field="series"
            )

    def as_dict(self) -> dict[str, Any]:
        """Only what differs from the defaults, for records and JSON."""
        return {
            item.name: value
            for item in fields(self)
            if (value := getattr(self, item.name)) != item.default
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ReadOptions:
        known = {item.name: values[item.name] for item in fields(cls) if item.name in values}
        return cls(**{**known, "series": int(known.get("series", 0))})


@dataclass(frozen=True, kw_only=True)
class InspectedImage:
    """One image of a file as it would be read; the fields are those of `ports.ImageSource`.

    Attributes:
        reading: how to ask for this image.
        title: what the file calls it; may be empty.
        sizes: empty where the image was not opened.
        thumbnail: PNG of the middle plane, or b"".
        error: why it cannot be read, None where it can.
    """

    reading: ReadOptions
    title: str = ""
    format: str = ""
    sizes: dict[str, int] = field(default_factory=dict)
    axes: str = ""
    dtype: str = ""
    is_rgb: bool = False
    channel_names: tuple[str, ...] = ()
    pixel_size_um: tuple[float, float] | None = None
    z_step_um: float | None = None
    frame_interval_s: float | None = None
    levels: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()
    thumbnail: bytes = b""
    error: KioskError | None = None
