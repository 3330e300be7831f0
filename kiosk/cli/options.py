"""Options that several commands share, with their help texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Folder for the results; made if needed.")]
Model = Annotated[str, typer.Option(help="NAME or NAME:VERSION; see `kiosk models`.")]
Channel = Annotated[str, typer.Option(help="Channel of a multi-channel image: name or number.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=NUMBER",
        help="Post-processing parameter, e.g. `--set min_area_px=50`; may be repeated.",
    ),
]
DiameterPx = Annotated[
    float,
    typer.Option(
        min=0, help="Typical diameter of the cells; 0 = measured. Short for `--set diameter_px=`."
    ),
]
Axes = Annotated[
    str,
    typer.Option(
        help="Order of the file's axes, slowest first, e.g. `ZYX`, where the file is wrong."
    ),
]
PixelSizeUm = Annotated[
    float, typer.Option(min=0, help="Side of a pixel in micrometres; 0 = as the file says.")
]
ZStepUm = Annotated[
    float, typer.Option(min=0, help="Distance of planes in micrometres; 0 = as the file says.")
]
Series = Annotated[
    int, typer.Option(min=0, help="Which image of a file that holds several; see `kiosk inspect`.")
]
RegionText = Annotated[
    str,
    typer.Option(
        "--region",
        metavar="X,Y,WIDTH,HEIGHT",
        help="Only this rectangle of every plane, in pixels, as Fiji and QuPath show it.",
    ),
]
Volume = Annotated[
    bool, typer.Option("--3d", help="Join the planes of a z-stack to instances in 3-D.")
]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="Result format, may be repeated: labels, table, overlay (these are the default),"
        " parquet, rois, geojson, ome-zarr, h5ad, qc, qc-pdf; `all` for every one.",
    ),
]
Within = Annotated[
    Path | None,
    typer.Option(help="Mask or label image: only instances inside of it count."),
]
Overwrite = Annotated[bool, typer.Option(help="Replace results that are there already.")]
