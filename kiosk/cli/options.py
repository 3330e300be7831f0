"""Options that several commands share, with their help texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# Headings of the help, in the order in which the options stand in the commands.
WHAT = "What to segment"
READING = "Reading the file"
RESULTS = "Results"

Model = Annotated[
    str,
    typer.Option(
        metavar="NAME[:VERSION]", help="See `kiosk models` for their names.", rich_help_panel=WHAT
    ),
]
Channel = Annotated[
    str,
    typer.Option(
        metavar="NAME|NUMBER",
        help="Channel of an image that has several; `kiosk inspect` lists them.",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]
AllOrSeries = Annotated[
    str,
    typer.Option(
        "--series",
        metavar="NUMBER|all",
        help="Which image of a file that holds several, from 0; `kiosk inspect` lists them."
        " Default: all of a zip, else the first.",
        rich_help_panel=READING,
        show_default=False,
    ),
]
RegionText = Annotated[
    str,
    typer.Option(
        "--region",
        metavar="X,Y,WIDTH,HEIGHT",
        help="Only this rectangle of every plane, in pixels, as Fiji and QuPath show it.",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]
PlaneText = Annotated[
    str,
    typer.Option(
        "--plane",
        metavar="T,Z",
        help="Only the plane at this time point and depth, counted from 0, of a movie or stack.",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]
Within = Annotated[
    str,
    typer.Option(
        metavar="MASK",
        help="Mask or label image: only instances inside of it count. Or a folder with a mask of"
        " the same name for each image.",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]
Volume = Annotated[
    bool,
    typer.Option(
        "--3d", help="Join the planes of a z-stack to instances in 3-D.", rich_help_panel=WHAT
    ),
]
DiameterPx = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="NUMBER",
        help="Typical diameter of the cells in pixels, if measuring it by itself goes wrong.",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=NUMBER",
        help="Post-processing parameter, e.g. `--set min_area_px=50`; may be repeated. `kiosk"
        " models show MODEL` lists them.",
        rich_help_panel=WHAT,
    ),
]
Axes = Annotated[
    str,
    typer.Option(
        metavar="LETTERS",
        help="Order of the file's axes, slowest first, e.g. `ZYX`, where the file says it wrongly"
        " or not at all.",
        rich_help_panel=READING,
        show_default=False,
    ),
]
PixelSizeUm = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="NUMBER",
        help="Side of a pixel in micrometres, in place of what the file says.",
        rich_help_panel=READING,
        show_default=False,
    ),
]
ZStepUm = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="NUMBER",
        help="Distance of planes in micrometres, in place of what the file says.",
        rich_help_panel=READING,
        show_default=False,
    ),
]
Series = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="NUMBER",
        help="Which image of a file that holds several, from 0; `kiosk inspect` lists them.",
        rich_help_panel=READING,
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        metavar="FOLDER", help="Where the results go; made if needed.", rich_help_panel=RESULTS
    ),
]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="NAME,...",
        help="Result files: labels, table, overlay (these three are the default), parquet, rois"
        " (Fiji), geojson (QuPath), ome-zarr, h5ad (scanpy), grown (whole cells around nuclei), qc,"
        " qc-pdf; or all.",
        rich_help_panel=RESULTS,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Replace results that are there already.", rich_help_panel=RESULTS
    ),
]
SkipExisting = Annotated[
    bool,
    typer.Option(
        "--skip-existing",
        help="Leave out images whose results are there already.",
        rich_help_panel=RESULTS,
    ),
]
