"""Colours in which a file wants its channels to be shown: "#RRGGBB", "" where it says nothing.

White is nothing said: programs write it for channels that nobody has given a colour, and several
channels in white cannot be told apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

_HEX = re.compile(r"#?([0-9A-Fa-f]{6})")
_WHITE = "#FFFFFF"


def of_ome(value: str | None) -> str:
    """Of OME-XML: red, green, blue and alpha as one signed number of 32 bits."""
    try:
        number = int(value or "")
    except ValueError:
        return ""
    return _told(f"#{number >> 8 & 0xFFFFFF:06X}") if -(2**31) <= number < 2**32 else ""


def of_omero(value: Any) -> str:
    """Of the omero metadata in OME-Zarr: six hexadecimal digits."""
    found = _HEX.fullmatch(value) if isinstance(value, str) else None
    return _told(f"#{found[1].upper()}") if found else ""


def of_tables(tables: Any, count: int) -> tuple[str, ...]:
    """Of ImageJ's look-up tables, (3, 256) uint8 each, one per channel: the brightest colour.

    Tables that go through several colours, as "fire" does, end in a colour that says little; those
    are white or nearly so.
    """
    if not isinstance(tables, Sequence) or len(tables) != count:
        return ("",) * count
    return tuple(_of_table(np.asarray(table)) for table in tables)


def _of_table(table: np.ndarray) -> str:
    if table.shape != (3, 256) or table.dtype != np.uint8:
        return ""
    return _told("#" + "".join(f"{value:02X}" for value in table[:, -1]))


def _told(colour: str) -> str:
    return "" if colour in (_WHITE, "#000000") else colour
