"""What the columns of the table of instances mean, and in which units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kiosk.imaging.measurements import INTENSITY_COLUMNS, MICROMETRE_COLUMNS, SHAPE_COLUMNS
from kiosk.imaging.volume_measurements import VOLUME_COLUMNS, VOLUME_MICROMETRE_COLUMNS

PLACE_COLUMNS = {
    "t": "time point, counted from 0",
    "z": "position along z, counted from 0",
}
MEANINGS: Mapping[str, str] = {
    "within": "label of the mask that covers most of the instance",
    **VOLUME_COLUMNS,
    **VOLUME_MICROMETRE_COLUMNS,
    **PLACE_COLUMNS,
    **SHAPE_COLUMNS,
    **MICROMETRE_COLUMNS,
    **INTENSITY_COLUMNS,
}
# Ending of a name -> unit. The units are in the names; here they are spelled for people.
_UNITS = {
    "px": "px", "px2": "px²", "px3": "px³", "um": "µm", "um2": "µm²", "um3": "µm³", "rad": "rad",
}  # fmt: skip
_OTHER_UNITS = {
    "area_px": "px²", "volume_px": "px³", "time_s": "s",
    "mean_speed_px_per_frame": "px/frame", "mean_speed_um_per_h": "µm/h",
}  # fmt: skip
# Positions and sizes of boxes, areas in pixels, numbers and yes or no.
_WHOLE = re.compile(
    r"t|z|label|planes|touches_(z_)?border|within|(min|max|first|last)_[tzyx](_px)?"
)
_WHOLE_SIZES = ("area_px", "volume_px")


@dataclass(frozen=True)
class Column:
    """One column of the table of instances.

    Attributes:
        unit: "px", "µm²", "grey value" and so on; "" where there is none.
        meaning: what it holds; "" for a column that is not known here.
        is_whole: it holds whole numbers only, whatever the image.
    """

    unit: str
    meaning: str
    is_whole: bool


def describe_column(name: str) -> Column:
    """What is known about a column by its name; intensities may have a channel appended."""
    is_whole = _WHOLE.fullmatch(name) is not None or name in _WHOLE_SIZES
    for base, meaning in INTENSITY_COLUMNS.items():
        if name == base or name.startswith(f"{base}_"):
            channel = name[len(base) + 1 :]
            return Column("grey value", f"{meaning}, {channel}" if channel else meaning, False)
    unit = _OTHER_UNITS.get(name) or _UNITS.get(name.rsplit("_", 1)[-1], "")
    return Column(unit, MEANINGS.get(name, ""), is_whole)
