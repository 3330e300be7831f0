"""Result files of tracked movies. `TRACK_FORMATS` is the table of all: what it is, who writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kiosk.errors import InvalidRequest
from kiosk.exports import kind_of
from kiosk.exports.tracks.ctc import CtcZip
from kiosk.exports.tracks.geff import Geff
from kiosk.exports.tracks.labels import TrackedLabels
from kiosk.exports.tracks.lineage_picture import LineagePng, LineageSvg
from kiosk.exports.tracks.tables import DoubtfulLinksCsv, TracksCsv, TrackSummaryCsv
from kiosk.exports.tracks.tails_picture import TailsPicture
from kiosk.exports.tracks.writer import TrackWriter
from kiosk.exports.writer import ResultImage
from kiosk.imaging.lineage import Lineage


@dataclass(frozen=True, kw_only=True)
class TrackFormat:
    """One kind of result file of a tracked movie.

    Attributes:
        ending: what follows the stem in the file's name; begins with "_".
        description: what it is and what opens it, for people.
        opens_with: what to do with the file, in a few words.
        writer: makes the writer for a path; raises InvalidRequest where the movie does not fit.
        is_default: written when the caller names no formats.
    """

    ending: str
    media_type: str
    description: str
    opens_with: str
    writer: Callable[[Path, ResultImage, Lineage], TrackWriter]
    is_default: bool = True


TRACK_FORMATS: dict[str, TrackFormat] = {
    "labels": TrackFormat(
        ending="_labels.tif",
        media_type="image/tiff",
        description="Tracked label image (OME-TIFF): a cell keeps its number through time.",
        opens_with="Open in Fiji or napari",
        writer=TrackedLabels,
    ),
    "ctc": TrackFormat(
        ending="_RES.zip",
        media_type="application/zip",
        description="Masks and res_track.txt of the Cell Tracking Challenge.",
        opens_with="Unpack for ctc_validate, Trackastra and others",
        writer=CtcZip,
    ),
    "tracks": TrackFormat(
        ending="_tracks.csv",
        media_type="text/csv",
        description="Table, one row per cell and frame: track, mother, position, area, intensity.",
        opens_with="Open in Excel, R or pandas; correct it and link again",
        writer=TracksCsv,
    ),
    "track-summary": TrackFormat(
        ending="_track_summary.csv",
        media_type="text/csv",
        description="Table, one row per track: duration, speed, division, why it begins and ends.",
        opens_with="Open in Excel, R or pandas",
        writer=TrackSummaryCsv,
    ),
    "doubtful": TrackFormat(
        ending="_doubtful_links.csv",
        media_type="text/csv",
        description="Links that a person should look at, the most doubtful first.",
        opens_with="Open in Excel, R or pandas",
        writer=DoubtfulLinksCsv,
    ),
    "lineage": TrackFormat(
        ending="_lineage.png",
        media_type="image/png",
        description="Lineage plot: time to the right, a line per cell, branches at divisions.",
        opens_with="Look at it in any picture viewer",
        writer=LineagePng,
    ),
    "overlay": TrackFormat(
        ending="_tracks.jpg",
        media_type="image/jpeg",
        description="Picture of the last frame with the way that every cell has come.",
        opens_with="Look at it in any picture viewer",
        writer=TailsPicture,
    ),
    "lineage-svg": TrackFormat(
        ending="_lineage.svg",
        media_type="image/svg+xml",
        description="The same plot as SVG, for figures.",
        opens_with="Open in Inkscape, Illustrator or a browser",
        writer=LineageSvg,
        is_default=False,
    ),
    "geff": TrackFormat(
        ending="_tracks.geff.zip",
        media_type="application/zip",
        description="Lineage as GEFF 1.2, a graph with all measurements.",
        opens_with="Unzipped, open in napari, motile or geff",
        writer=Geff,
    ),
}


def chosen_track_formats(names: Sequence[str]) -> dict[str, TrackFormat]:
    """The formats of these names; the default set for none, every one for "all".

    Raises:
        InvalidRequest: there is no such format.
    """
    if not names:
        return {name: item for name, item in TRACK_FORMATS.items() if item.is_default}
    for name in names:
        if name not in TRACK_FORMATS and name != "all":
            raise InvalidRequest(
                f"There is no result format '{name}' for tracked movies. The formats are:"
                f" {', '.join(TRACK_FORMATS)}.",
                reason="UNKNOWN_FORMAT",
                field="formats",
            )
    return {name: item for name, item in TRACK_FORMATS.items() if name in names or "all" in names}


def kind_of_track_file(file_name: str) -> tuple[str, str, str]:
    """As `kind_of`, of a result of a tracking."""
    return kind_of(file_name, TRACK_FORMATS.values())
