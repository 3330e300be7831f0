"""How an upload is to be read, as it stands in the query of an address."""

from __future__ import annotations

from collections.abc import Mapping

from kiosk.errors import InvalidRequest
from kiosk.reading import ReadOptions
from kiosk.web.operation import POSITIVE, Parameter

READING = (
    Parameter(name="member", description="Path of the image inside a zip."),
    Parameter(name="series", schema=POSITIVE, description="Number of the image, from 0."),
    Parameter(name="axes", description="Of the file, slowest first: letters of TCZYXS."),
    Parameter(name="pixel_size_um", schema=POSITIVE),
    Parameter(name="z_step_um", schema=POSITIVE),
)


def reading_of(query: Mapping[str, str]) -> ReadOptions:
    """Raises InvalidRequest."""
    return ReadOptions(
        member=query.get("member", ""),
        series=int(number_of(query, "series")),
        axes=query.get("axes", ""),
        pixel_size_um=number_of(query, "pixel_size_um"),
        z_step_um=number_of(query, "z_step_um"),
    )


def number_of(query: Mapping[str, str], name: str) -> float:
    """A number of the query that is not negative; 0 where it is missing. Raises InvalidRequest."""
    text = query.get(name, "0")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 2**31:
        raise InvalidRequest(f"'{name}' must be a number, not '{text[:50]}'.", field=name)
    return value
