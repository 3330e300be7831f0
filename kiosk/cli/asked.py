"""What the options of `kiosk segment` and `watch` ask for, checked before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kiosk.errors import InvalidRequest
from kiosk.reading import ReadOptions

if TYPE_CHECKING:
    from kiosk.batch import SegmentRequest
    from kiosk.client_arguments import Rectangle


def batch_request(model: str, reading: ReadOptions, **options: Any) -> SegmentRequest:
    """`reading` and the like are checked by being made, before anything is sent."""
    from kiosk.batch import SegmentRequest

    name, _, version = model.partition(":")
    return SegmentRequest(
        model=name,
        version=version,
        axes=reading.axes,
        pixel_size_um=reading.pixel_size_um,
        z_step_um=reading.z_step_um,
        series=reading.series,
        **options,
    )


def named_numbers(texts: list[str] | None, diameter_px: float) -> dict[str, float]:
    values = {"diameter_px": diameter_px} if diameter_px else {}
    for text in texts or []:
        key, _, value = text.partition("=")
        try:
            values[key] = float(value)
        except ValueError:
            raise InvalidRequest(f"'{text}' is not of the form NAME=NUMBER.") from None
    return values


def rectangle(text: str) -> Rectangle | None:
    """(min_y_px, min_x_px, max_y_px, max_x_px) of X,Y,WIDTH,HEIGHT."""
    if not text:
        return None
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        x = y = width = height = -1
    if min(x, y) < 0 or min(width, height) < 1:
        raise InvalidRequest(
            f"'{text}' is not of the form X,Y,WIDTH,HEIGHT in whole pixels, for example"
            " 1000,2000,512,512."
        )
    return y, x, y + height, x + width


def plane_place(text: str) -> tuple[int, int] | None:
    """(t, z) of T or T,Z."""
    if not text:
        return None
    try:
        t, z = (int(part) for part in (text if "," in text else f"{text},0").split(","))
    except ValueError:
        t = z = -1
    if min(t, z) < 0:
        raise InvalidRequest(f"'{text}' is not of the form T,Z, counted from 0, for example 10,0.")
    return t, z


def track_format_names(names: list[str] | None) -> tuple[str, ...]:
    """As `format_names`, of tracked movies."""
    if found := _single_names(names):
        from kiosk.exports.tracks import chosen_track_formats

        chosen_track_formats(found)
    return found


def _single_names(names: list[str] | None) -> tuple[str, ...]:
    return tuple(part.strip() for name in names or [] for part in name.split(",") if part.strip())


def format_names(names: list[str] | None) -> tuple[str, ...]:
    """The names as given, one by one or separated by commas."""
    found = _single_names(names)
    if found:
        from kiosk.exports import FORMATS

        for name in found:
            if name not in (*FORMATS, "all"):
                raise InvalidRequest(
                    f"There is no result format '{name}'. The formats are: {', '.join(FORMATS)}."
                )
    return found


def series_number(text: str) -> int:
    """The number of an image of a file; 0 for "" and "all"."""
    if text in ("", "all"):
        return 0
    try:
        return int(text)
    except ValueError:
        raise InvalidRequest(
            f"'{text}' is not a series: give its number, counted from 0, or all."
        ) from None
