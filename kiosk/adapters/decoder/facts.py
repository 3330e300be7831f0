"""What is known about an opened image: the attributes of `ports.ImageSource`, sent once.

A reader is not believed: sizes, types and lengths are checked before anybody counts on them.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kiosk.adapters.decoder.wire import Broken
from kiosk.ports import ImageEntry, ImageSource, channel_colors_of

MOST_NOTES = 1000
MOST_CHANNELS = 1000
MOST_LEVELS = 100
_Text = Annotated[str, Field(max_length=10_000)]
_Color = Annotated[str, Field(pattern=r"^(#[0-9A-F]{6})?$", max_length=7)]
_Count = Annotated[int, Field(ge=1, lt=2**40)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ImageFacts(BaseModel):
    """The attributes of an `ImageSource`; `dtype` as NumPy's short name, e.g. "<u2"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: _Text
    sizes: dict[str, _Count]
    axes: Annotated[str, Field(max_length=20)]
    dtype: Annotated[str, Field(pattern=r"^[<>|=][buif][1248]$|^<f16$")]
    is_rgb: bool
    channel_names: Annotated[tuple[_Text, ...], Field(max_length=MOST_CHANNELS)]
    channel_colors: Annotated[tuple[_Color, ...], Field(max_length=MOST_CHANNELS)]
    pixel_size_um: tuple[_Positive, _Positive] | None
    z_step_um: _Positive | None
    frame_interval_s: _Positive | None
    levels: Annotated[tuple[tuple[_Count, _Count], ...], Field(max_length=MOST_LEVELS)]
    notes: Annotated[tuple[_Text, ...], Field(max_length=MOST_NOTES)]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if set(self.sizes) != set("tczyx") or not (
            len(self.channel_names) == len(self.channel_colors) == self.sizes["c"]
        ):
            raise ValueError("sizes and channels do not fit together")
        if self.levels[:1] != ((self.sizes["y"], self.sizes["x"]),):
            raise ValueError("sizes and levels do not fit together")
        return self


def facts_of(source: ImageSource) -> dict[str, Any]:
    """The facts of a source, ready to be sent."""
    return {
        "format": source.format,
        "sizes": {axis: int(length) for axis, length in source.sizes.items()},
        "axes": source.axes,
        "dtype": np.dtype(source.dtype).str,
        "is_rgb": bool(source.is_rgb),
        "channel_names": [_sendable(name)[:10_000] for name in source.channel_names],
        "channel_colors": list(channel_colors_of(source)),
        "pixel_size_um": source.pixel_size_um and [float(um) for um in source.pixel_size_um],
        "z_step_um": source.z_step_um and float(source.z_step_um),
        "frame_interval_s": source.frame_interval_s and float(source.frame_interval_s),
        "levels": [[int(y), int(x)] for y, x in source.levels],
        "notes": [_sendable(note)[:10_000] for note in source.notes[:MOST_NOTES]],
    }


def facts_from(values: Any) -> ImageFacts:
    """The facts that a reader has sent. Raises Broken where they cannot be."""
    try:
        return ImageFacts.model_validate(values)
    except ValidationError as error:
        raise Broken("no facts of an image") from error


def entries_as_list(entries: list[ImageEntry]) -> list[list[Any]]:
    """Images of a file, ready to be sent."""
    return [[_sendable(e.member), int(e.series), _sendable(e.title)] for e in entries]


def entries_from(values: Any) -> list[ImageEntry]:
    """The images that a reader has sent. Raises Broken where there are none."""
    try:
        found = [
            ImageEntry(member=str(member), series=int(series), title=str(title))
            for member, series, title in values
        ]
    except (TypeError, ValueError) as error:
        raise Broken("no list of images") from error
    if not found:
        raise Broken("an empty list of images")
    return found


def _sendable(text: str) -> str:
    """Without halves of letters, which can be sent nowhere."""
    return str(text).encode(errors="replace").decode()
