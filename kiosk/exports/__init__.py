"""Result files. `FORMATS` is the table of all formats: name -> what it is and who writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from kiosk.errors import InvalidRequest
from kiosk.exports.label_tiff import LabelTiff
from kiosk.exports.overlay import OverlayPicture
from kiosk.exports.tables import CsvTable
from kiosk.exports.writer import ResultImage, Writer


@dataclass(frozen=True, kw_only=True)
class Format:
    """One kind of result file.

    Attributes:
        ending: what follows the stem in the file's name; begins with "_".
        description: what it is and what opens it, for people.
        writer: makes the writer for a path.
        is_default: written when the caller names no formats.
        package: what must be installed besides the kiosk, "" for nothing.
    """

    ending: str
    media_type: str
    description: str
    writer: Callable[[Path, ResultImage], Writer]
    is_default: bool = False
    package: str = ""

    @property
    def missing(self) -> bool:
        """Its package is not installed."""
        return bool(self.package) and find_spec(self.package) is None


FORMATS: dict[str, Format] = {
    "labels": Format(
        ending="_labels.tif",
        media_type="image/tiff",
        description="Label image (OME-TIFF): 0 is background, each instance has its number. Open in"
        " Fiji, napari or QuPath.",
        writer=LabelTiff,
        is_default=True,
    ),
    "table": Format(
        ending="_instances.csv",
        media_type="text/csv",
        description="Table, one row per instance: position, area, intensity. Open in Excel, R or"
        " pandas.",
        writer=CsvTable,
        is_default=True,
    ),
    "overlay": Format(
        ending="_overlay.jpg",
        media_type="image/jpeg",
        description="Picture of one plane with the instances outlined.",
        writer=OverlayPicture,
        is_default=True,
    ),
}

RUN_ENDING = "_run.json"
RUN_DESCRIPTION = (
    "How the results were made: model, version, parameters, software. Keep it with them."
)


def chosen_formats(names: Sequence[str]) -> dict[str, Format]:
    """The formats of these names; the default set for none, every installed one for "all".

    Raises:
        InvalidRequest: there is no such format.
    """
    if not names:
        return {name: item for name, item in FORMATS.items() if item.is_default}
    if "all" in names:
        names = [name for name, item in FORMATS.items() if not item.missing]
    for name in names:
        if name not in FORMATS:
            raise InvalidRequest(
                f"There is no result format '{name}'. The formats are: {', '.join(FORMATS)}.",
                reason="UNKNOWN_FORMAT",
                field="formats",
            )
    return {name: FORMATS[name] for name in FORMATS if name in names}


def kind_of(file_name: str) -> tuple[str, str]:
    """(media type, description) of a result by its file name."""
    if file_name.endswith(RUN_ENDING):
        return "application/json", RUN_DESCRIPTION
    for item in FORMATS.values():
        if file_name.endswith(item.ending):
            return item.media_type, item.description
    return "application/octet-stream", ""
