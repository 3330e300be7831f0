"""Commands that look at models and jobs: `kiosk models`, `kiosk jobs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from kiosk.cli.options import RESULTS, Axes, PixelSizeUm, Series, ZStepUm
from kiosk.cli.terminal import (
    AllOwners,
    Server,
    app,
    ask,
    console,
    id_column,
    job_state,
    plain,
    print_checks,
    say,
)
from kiosk.errors import KioskError
from kiosk.jobs import ID_LETTERS
from kiosk.reading import ReadOptions
from kiosk.settings import Settings

if TYPE_CHECKING:
    from kiosk._proto import kiosk_pb2 as pb
    from kiosk.client import AsyncKiosk

jobs_app = typer.Typer(help="List jobs; show, cancel or delete one.", invoke_without_command=True)
app.add_typer(jobs_app, name="jobs")
models_app = typer.Typer(
    help="List the models; show one; check, load, promote and unload versions.",
    invoke_without_command=True,
)
app.add_typer(models_app, name="models")


@models_app.callback()
def models(context: typer.Context, server: Server = "") -> None:
    """List the models that are ready; or show, check or roll out one."""
    if context.invoked_subcommand is not None:
        return

    table = Table("model", "versions", "finds", "objects (px)", "licence")
    for card in ask(server, lambda kiosk: kiosk.models()):
        low, high = card.min_object_diameter_px, card.max_object_diameter_px
        size = f"{low:g}-{high:g}" if high else ""
        name = card.name.removeprefix("models/")
        table.add_row(name, _versions(card), card.description, size, card.licence)
    console.print(table)


def _versions(card: pb.Model) -> str:
    """Versions that are ready, and which of them gets the jobs."""
    names = list(card.versions)
    if card.default_version and card.default_version not in names:
        names.append(f"{card.default_version} (promoted, not loaded)")
    roles = {card.default_version: " (default)"} if len(names) > 1 else {}
    if card.canary_version:
        roles[card.canary_version] = f" (canary, {100 * card.canary_ratio:.3g} % of jobs)"
    return ", ".join(f"{name}{roles.get(name, '')}" for name in names)


@models_app.command("show")
def models_show(name: str, server: Server = "") -> None:
    """Show a model and every parameter that `--set` may change, with its range and meaning."""
    card = ask(server, lambda kiosk: kiosk.model(name))
    console.print(f"{card.display_name}: {card.description}", highlight=False)
    console.print(f"Versions: {_versions(card)}.", highlight=False)
    table = Table("parameter", "default", "range", "unit", "meaning")
    for item in card.parameters:
        values = f"{item.minimum:g} to {item.maximum:g}"
        table.add_row(item.name, f"{item.default_value:g}", values, item.unit, item.meaning)
    console.print(table)


@models_app.command("check")
def models_check(
    folder: Annotated[
        Path, typer.Argument(help="Model folder, before it is put into the repository.")
    ],
) -> None:
    """Check a model folder: keys, tensors, weights, and one run on a made-up image."""
    from kiosk.model_check import check_model
    from kiosk.model_run import network_runner

    print_checks(check_model(folder, network_runner(Settings().servers_dir)))


@jobs_app.callback()
def jobs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    search: Annotated[
        str, typer.Option(help="Words that all occur in file name, model, state or owner.")
    ] = "",
    state: Annotated[str, typer.Option(help="queued, running, succeeded, ...")] = "",
    all_owners: AllOwners = False,
    server: Server = "",
) -> None:
    """List jobs, newest first; or show, cancel or delete one."""
    if context.invoked_subcommand is not None:
        return

    owner = ["owner"] if all_owners else []
    columns = (*owner, "created", "kept until", "file", "model", "state", "parts", "error")
    table = Table(id_column("job", ID_LETTERS), *columns)

    async def found(kiosk: AsyncKiosk) -> list[pb.Job]:
        return await kiosk.jobs(limit, all_owners=all_owners, search=search, state=state)

    for job in ask(server, found):
        table.add_row(
            job.name.removeprefix("jobs/"),
            *([plain(job.owner)] if all_owners else []),
            f"{job.create_time.ToDatetime():%Y-%m-%d %H:%M}",
            f"{job.expire_time.ToDatetime():%Y-%m-%d}",
            plain(job.file_name),
            _worked_by(job),
            job_state(job),
            f"{job.parts_done}/{job.parts_total}",
            plain(job.error.message),
        )
    console.print(table)


@jobs_app.command("show")
def jobs_show(job: str, server: Server = "") -> None:
    """Show all that is known of a job."""
    from google.protobuf.json_format import MessageToDict

    console.print_json(
        json.dumps(
            MessageToDict(
                ask(server, lambda kiosk: kiosk.job(job)), preserving_proto_field_name=True
            )
        )
    )


@jobs_app.command("cancel")
def jobs_cancel(job: str, server: Server = "") -> None:
    """Stop a job."""

    console.print(f"The job is {job_state(ask(server, lambda kiosk: kiosk.cancel(job)))}.")


@jobs_app.command("delete")
def jobs_delete(job: str, server: Server = "") -> None:
    """Delete a finished job and its results."""

    ask(server, lambda kiosk: kiosk.delete(job))
    console.print("Deleted.")


def _worked_by(job: pb.Job) -> str:
    """The model of a job, and whether its instances are followed through time."""
    model = f"{job.model}:{job.model_version}" if job.model else "labels"
    return f"{model}, tracked" if job.pipeline == "tracking" else model


@app.command()
def inspect(
    files: Annotated[
        list[Path],
        typer.Argument(help="Image files, zips, OME-Zarr folders, or folders of these."),
    ],
    axes: Axes = "",
    pixel_size_um: PixelSizeUm = 0.0,
    z_step_um: ZStepUm = 0.0,
    series: Series = 0,
    thumbnails: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write a picture of every image to this folder.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON instead of a table.", rich_help_panel=RESULTS),
    ] = False,
) -> None:
    """Say what the kiosk sees in files: their images, axes, channels, pixel sizes, guesses.

    Needs no running kiosk. Example: `kiosk inspect stack.tif --thumbnails pictures`
    """
    from kiosk.bootstrap import inspect_local
    from kiosk.cli.inspected import Inspected, as_json_list, print_file, write_thumbnails
    from kiosk.image_paths import find_images

    reading = ReadOptions(
        series=series, axes=axes, pixel_size_um=pixel_size_um, z_step_um=z_step_um
    )
    found = []
    for path in map(Path, find_images(files)):
        try:
            images = inspect_local(Settings(), path, reading, thumbnail_px=512 if thumbnails else 0)
            found.append(Inspected(path, images))
        except KioskError as error:
            found.append(Inspected(path, [], error))
        if not as_json:
            print_file(found[-1])
        if thumbnails:
            for picture in write_thumbnails(found[-1], thumbnails):
                say(f"wrote {picture}")
    if as_json:
        print(json.dumps(as_json_list(found), indent=2))
    if not all(item.is_readable for item in found):
        raise typer.Exit(1)
