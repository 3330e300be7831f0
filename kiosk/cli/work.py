"""Commands that do the work: `kiosk segment`, `watch`, `train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kiosk.cli.asked import (
    batch_request,
    format_names,
    named_numbers,
    plane_place,
    rectangle,
    series_number,
)
from kiosk.cli.options import (
    AllOrSeries,
    Axes,
    Channel,
    DiameterPx,
    Formats,
    Model,
    Out,
    Overwrite,
    Parameters,
    PixelSizeUm,
    PlaneText,
    RegionText,
    SkipExisting,
    Volume,
    Within,
    ZStepUm,
)
from kiosk.cli.outcomes import check_replacing, print_outcomes
from kiosk.cli.terminal import Server, app, ask, console
from kiosk.reading import ReadOptions
from kiosk.settings import Settings

if TYPE_CHECKING:
    from kiosk.client import AsyncKiosk


@app.command()
def segment(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Image files, zips of images, OME-Zarr folders, folders of these, or addresses"
            " (s3://...) that the kiosk may read."
        ),
    ],
    model: Model = "nuclei",
    channel: Channel = "",
    region: RegionText = "",
    plane: PlaneText = "",
    within: Within = "",
    volume: Volume = False,
    diameter_px: DiameterPx = 0.0,
    parameters: Parameters = None,
    axes: Axes = "",
    pixel_size_um: PixelSizeUm = 0.0,
    z_step_um: ZStepUm = 0.0,
    series: AllOrSeries = "",
    out: Out = Path("results"),
    formats: Formats = None,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    server: Server = "",
) -> None:
    """Find the instances in images.

    Writes for each image NAME_labels.tif (label image), NAME_instances.csv (table),
    NAME_overlay.jpg (picture) and NAME_run.json (how it was made); more with `--format`.

    Example: `kiosk segment cells.tif plate.zip --channel DAPI --out results`
    """
    from kiosk.batch import segment_files
    from kiosk.image_paths import find_images

    check_replacing(overwrite, skip_existing)
    request = batch_request(
        model,
        ReadOptions(
            axes=axes,
            pixel_size_um=pixel_size_um,
            z_step_um=z_step_um,
            series=series_number(series),
        ),
        all_series=series == "all",
        out=out,
        channel=channel,
        parameters=named_numbers(parameters, diameter_px),
        region=rectangle(region),
        plane=plane_place(plane),
        volume=volume,
        formats=format_names(formats),
        within=within,
        overwrite=overwrite,
        skip_existing=skip_existing,
    )
    images = find_images(files)
    outcomes = ask(server, lambda kiosk: segment_files(kiosk, images, request, console))
    print_outcomes(outcomes, out, "images")


@app.command()
def watch(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder to watch.")],
    model: Model = "nuclei",
    channel: Channel = "",
    volume: Volume = False,
    diameter_px: DiameterPx = 0.0,
    parameters: Parameters = None,
    axes: Axes = "",
    pixel_size_um: PixelSizeUm = 0.0,
    z_step_um: ZStepUm = 0.0,
    out: Out = Path("results"),
    formats: Formats = None,
    server: Server = "",
) -> None:
    """Segment every image that appears in a folder, until Ctrl-C.

    Images whose results are there already are left alone.
    """
    from kiosk.watching import watch_folder

    request = batch_request(
        model,
        ReadOptions(axes=axes, pixel_size_um=pixel_size_um, z_step_um=z_step_um),
        out=out,
        channel=channel,
        parameters=named_numbers(parameters, diameter_px),
        volume=volume,
        formats=format_names(formats),
        skip_existing=True,
    )

    async def work(kiosk: AsyncKiosk) -> None:
        await kiosk.model(request.model)  # say at once when there is no kiosk or model
        console.print(f"Watching {folder}; results go to {out}. Ctrl-C stops.")
        await watch_folder(kiosk, folder, request, console)

    ask(server, work)


@app.command()
def train(
    model: Annotated[str, typer.Argument(help="Model to begin with: NAME or NAME:VERSION.")],
    data: Annotated[
        Path,
        typer.Option(help="Folder with images/ and labels/ of equal names, about ten of each."),
    ],
    out: Annotated[
        Path, typer.Option(help="Where the new version goes: model_repository/MODEL/VERSION.")
    ],
    channel: Annotated[str, typer.Option(help="Channel to train on: a name or a number.")] = "",
    steps: Annotated[
        int | None, typer.Option(min=10, help="Training steps; more = longer.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    seed: Annotated[int, typer.Option(help="Start of the random numbers.")] = 1,
) -> None:
    """Adapt a model to your own cells: train it further on a few annotated images.

    kiosk train nuclei --data annotated --out model_repository/mycells/1
    """
    from kiosk.fine_tuning import fine_tune

    found = fine_tune(
        Settings(),
        model,
        data,
        out,
        channel=channel,
        steps=steps,
        learning_rate=learning_rate,
        seed=seed,
    )
    console.print(
        f"F1 at IoU 0.5 on {found.held_out} images kept for checking:"
        f" {found.before.f1:.3f} before, {found.after.f1:.3f} after.\n"
        f"The model '{found.model}' is in {out}; a running kiosk shows it within seconds."
    )
