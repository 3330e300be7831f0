"""Commands that do the work: `kiosk segment`, `track`, `watch`, `train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kiosk.cli.options import (
    Axes,
    Channel,
    DiameterPx,
    Formats,
    Model,
    Out,
    Overwrite,
    Parameters,
    PixelSizeUm,
    RegionText,
    Series,
    Volume,
    Within,
    ZStepUm,
)
from kiosk.cli.terminal import Server, app, ask, console, say
from kiosk.errors import InvalidRequest
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
    out: Out = Path("results"),
    channel: Channel = "",
    parameters: Parameters = None,
    diameter_px: DiameterPx = 0.0,
    axes: Axes = "",
    pixel_size_um: PixelSizeUm = 0.0,
    z_step_um: ZStepUm = 0.0,
    series: Series = 0,
    region: RegionText = "",
    volume: Volume = False,
    formats: Formats = None,
    within: Within = None,
    overwrite: Overwrite = False,
    server: Server = "",
) -> None:
    """Find the instances in images.

    Writes for each file NAME_labels.tif (label image), NAME_instances.csv (table),
    NAME_overlay.jpg (picture) and NAME_run.json (how it was made); more with `--format`.

    Example: `kiosk segment cells.tif more/*.png --model nuclei --out results`
    """
    from kiosk.batch import SegmentRequest, find_images, segment_files

    name, _, version = model.partition(":")
    request = SegmentRequest(
        out=out,
        model=name,
        version=version,
        channel=channel,
        parameters=_parameters(parameters, diameter_px),
        axes=axes,
        pixel_size_um=pixel_size_um,
        z_step_um=z_step_um,
        series=series,
        region=_region(region),
        volume=volume,
        formats=_formats(formats),
        within=within,
        overwrite=overwrite,
    )
    images = find_images(files)
    failed, count = ask(server, lambda kiosk: segment_files(kiosk, images, request, console))
    if failed:
        say(f"{failed} of {count} images failed.")
        raise typer.Exit(1)


@app.command()
def track(
    files: Annotated[list[Path], typer.Argument(help="A time series: a stack or a folder.")],
    model: Model = "nuclei",
    out: Out = Path("results"),
    labels: Annotated[Path | None, typer.Option(help="Label images to link.")] = None,
    server: Server = "",
) -> None:
    """Segment a time series and link the instances through time. Not available yet."""
    del files, model, out, labels
    ask(server, lambda kiosk: kiosk.track())


@app.command()
def watch(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder to watch.")],
    model: Model = "nuclei",
    out: Out = Path("results"),
    channel: Channel = "",
    parameters: Parameters = None,
    diameter_px: DiameterPx = 0.0,
    axes: Axes = "",
    pixel_size_um: PixelSizeUm = 0.0,
    formats: Formats = None,
    server: Server = "",
) -> None:
    """Segment every image that appears in a folder, until Ctrl-C."""
    from kiosk.batch import SegmentRequest, watch_folder

    name, _, version = model.partition(":")
    request = SegmentRequest(
        out=out,
        model=name,
        version=version,
        channel=channel,
        parameters=_parameters(parameters, diameter_px),
        axes=axes,
        pixel_size_um=pixel_size_um,
        formats=_formats(formats),
    )

    async def work(kiosk: AsyncKiosk) -> None:
        await kiosk.models()  # say at once when there is no kiosk
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


def _parameters(texts: list[str] | None, diameter_px: float) -> dict[str, float]:
    values = {"diameter_px": diameter_px} if diameter_px else {}
    for text in texts or []:
        key, _, value = text.partition("=")
        try:
            values[key] = float(value)
        except ValueError:
            raise InvalidRequest(f"'{text}' is not of the form NAME=NUMBER.") from None
    return values


def _region(text: str) -> tuple[int, int, int, int] | None:
    """(min_y_px, min_x_px, max_y_px, max_x_px) of X,Y,WIDTH,HEIGHT."""
    if not text:
        return None
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise InvalidRequest(
            f"'{text}' is not of the form X,Y,WIDTH,HEIGHT, for example 1000,2000,512,512."
        ) from None
    return y, x, y + height, x + width


def _formats(names: list[str] | None) -> tuple[str, ...]:
    """The names as given, one by one or separated by commas."""
    return tuple(part.strip() for name in names or [] for part in name.split(",") if part.strip())
