"""Result files. `FORMATS` is the table of all formats: name -> what it is and who writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from kiosk.errors import InvalidRequest
from kiosk.exports.anndata_file import AnnDataFile
from kiosk.exports.geojson import QuPathGeoJson
from kiosk.exports.grown_tiff import GROWTH_PX, GROWTH_UM, GrownTiff
from kiosk.exports.label_tiff import LabelTiff
from kiosk.exports.ome_zarr import OmeZarr
from kiosk.exports.overlay import OverlayPicture
from kiosk.exports.parquet import ParquetTable
from kiosk.exports.qc_sheet import QcPdf, QcSheet
from kiosk.exports.roi_zip import RoiZip
from kiosk.exports.tables import CsvTable
from kiosk.exports.writer import ResultImage, Writer


@dataclass(frozen=True, kw_only=True)
class Format:
    """One kind of result file.

    Attributes:
        ending: what follows the stem in the file's name; begins with "_".
        description: what it is and what opens it, for people.
        opens_with: what to do with the file, in a few words.
        writer: makes the writer for a path.
        is_default: written when the caller names no formats.
        package: what must be installed besides the kiosk, and the extra that brings it; "" for
            nothing.
    """

    ending: str
    media_type: str
    description: str
    opens_with: str
    writer: Callable[[Path, ResultImage], Writer]
    is_default: bool = False
    package: str = ""

    @property
    def missing(self) -> bool:
        """Its package is not installed."""
        return bool(self.package) and find_spec(self.package) is None


GROWN = "grown"
_GROWTH = f"{GROWTH_UM:g} µm ({GROWTH_PX:g} px where no pixel size is known)"
GROWN_NOTE = (
    f"The grown label image has the instances grown by {_GROWTH}, as whole cells around nuclei; no"
    " network looked for the edges of cells."
)

FORMATS: dict[str, Format] = {
    "labels": Format(
        ending="_labels.tif",
        media_type="image/tiff",
        description="Label image (OME-TIFF): 0 is background, each instance has its number.",
        opens_with="Open in Fiji, napari or QuPath",
        writer=LabelTiff,
        is_default=True,
    ),
    "table": Format(
        ending="_instances.csv",
        media_type="text/csv",
        description="Table, one row per instance: position, area, intensity.",
        opens_with="Open in Excel, R or pandas",
        writer=CsvTable,
        is_default=True,
    ),
    "overlay": Format(
        ending="_overlay.jpg",
        media_type="image/jpeg",
        description="Picture of one plane with the instances outlined.",
        opens_with="Look at it in any picture viewer",
        writer=OverlayPicture,
        is_default=True,
    ),
    GROWN: Format(
        ending="_grown.tif",
        media_type="image/tiff",
        description="Second label image (OME-TIFF): each instance with the same number, grown by"
        f" {_GROWTH}, as whole cells around nuclei.",
        opens_with="Open in Fiji, napari or QuPath",
        writer=GrownTiff,
    ),
    "parquet": Format(
        ending="_instances.parquet",
        media_type="application/vnd.apache.parquet",
        description="The same table as Parquet, with types and units of its columns.",
        opens_with="Open in pandas, polars, R (arrow) or DuckDB",
        writer=ParquetTable,
    ),
    "rois": Format(
        ending="_RoiSet.zip",
        media_type="application/zip",
        description="Outlines as ImageJ ROIs.",
        opens_with="Drop on Fiji's window, or ROI Manager > More > Open",
        writer=RoiZip,
    ),
    "geojson": Format(
        ending="_cells.geojson",
        media_type="application/geo+json",
        description="Outlines as QuPath objects (GeoJSON).",
        opens_with="Drop on the image in QuPath",
        writer=QuPathGeoJson,
    ),
    "ome-zarr": Format(
        ending="_image.ome.zarr.zip",
        media_type="application/zip",
        description="Image and labels as OME-Zarr 0.5 in one zip, with smaller resolutions.",
        opens_with="Open with zarr in Python; unzipped, in napari (napari-ome-zarr)",
        writer=OmeZarr,
    ),
    "h5ad": Format(
        ending="_instances.h5ad",
        media_type="application/x-hdf5",
        description="Instances as AnnData: intensities by channel, shapes, positions.",
        opens_with="Open in scanpy or squidpy",
        writer=AnnDataFile,
        package="anndata",
    ),
    "qc": Format(
        ending="_qc.png",
        media_type="image/png",
        description="One page to judge the result by: outlines, counts, sizes, saturation,"
        " sharpness.",
        opens_with="Look at it in any picture viewer",
        writer=QcSheet,
    ),
    "qc-pdf": Format(
        ending="_qc.pdf",
        media_type="application/pdf",
        description="The same page as PDF, for printing and lab books.",
        opens_with="Print it, or keep it in a lab book",
        writer=QcPdf,
    ),
}

RUN_ENDING = "_run.json"
RUN_OPENS_WITH = "Open in a text editor or a browser"
RUN_DESCRIPTION = (
    "How the results were made: model, version, parameters, software. Keep it with them."
)


def chosen_formats(names: Sequence[str]) -> dict[str, Format]:
    """The formats of these names; the default set for none, every installed one for "all".

    Raises:
        InvalidRequest: there is no such format, or it needs a package that is not installed.
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
    chosen = {name: FORMATS[name] for name in FORMATS if name in names}
    for name, item in chosen.items():
        if item.package and find_spec(item.package) is None:
            raise InvalidRequest(
                f"The result format '{name}' needs a package that this kiosk lacks; install it with"
                f" pip install 'cell-kiosk[{item.package}]', or leave the format out.",
                reason="FORMAT_NOT_INSTALLED",
                field="formats",
            )
    return chosen


class Described(Protocol):
    """What is told of a result file."""

    @property
    def ending(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def opens_with(self) -> str: ...


def kind_of(
    file_name: str, formats: Iterable[Described] = tuple(FORMATS.values())
) -> tuple[str, str, str]:
    """(media type, description, what opens it) of a result by its file name: the first format."""
    if file_name.endswith(RUN_ENDING):
        return "application/json", RUN_DESCRIPTION, RUN_OPENS_WITH
    for item in formats:
        if file_name.endswith(item.ending):
            return item.media_type, item.description, item.opens_with
    return "application/octet-stream", "", ""
