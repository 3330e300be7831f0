"""The `kiosk` command."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from kiosk.errors import InvalidRequest, KioskError
from kiosk.settings import Settings

if TYPE_CHECKING:
    from kiosk.checks import Check
    from kiosk.client import AsyncKiosk

T = TypeVar("T")

app = typer.Typer(
    name="kiosk",
    help="A kiosk for cell images: segmentation by deep-learning models on Triton.\n\n"
    "Start with `kiosk up`, then `kiosk segment cells.tif --out results`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
jobs_app = typer.Typer(help="List jobs; show, cancel or delete one.", invoke_without_command=True)
app.add_typer(jobs_app, name="jobs")
models_app = typer.Typer(
    help="List the models; show one with its parameters; check a new one.",
    invoke_without_command=True,
)
app.add_typer(models_app, name="models")

console = Console()
errors = Console(stderr=True)

Server = Annotated[
    str,
    typer.Option(
        help="HOST:PORT of the kiosk. Default: KIOSK_SERVER, then 127.0.0.1:50051.",
        show_default=False,
    ),
]
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


# ---------------------------------------------------------------------------- roles


@app.command()
def up(
    grpc_port: Annotated[int | None, typer.Option(help="Port of the gRPC API [50051].")] = None,
    web_port: Annotated[int | None, typer.Option(help="Port of the web page [8080].")] = None,
    consumers: Annotated[int | None, typer.Option(min=1, help="Consumer processes [1].")] = None,
) -> None:
    """Run everything on this machine: Redis, Triton, server and consumers. Ctrl-C stops it.

    All data is under KIOSK_HOME; a restart resumes unfinished jobs.
    """
    from kiosk import local

    listen = {"grpc_port": grpc_port, "web_port": web_port}
    settings = Settings()
    settings = settings.model_copy(
        update={
            "listen": settings.listen.model_copy(
                update={k: v for k, v in listen.items() if v is not None}
            ),
            "local": settings.local.model_copy(
                update={"consumers": consumers} if consumers else {}
            ),
        }
    )
    raise typer.Exit(local.up(settings))


@app.command()
def server() -> None:
    """Run the server role: gRPC API and web page. For clusters; `kiosk up` starts one itself."""
    from kiosk.bootstrap import run_server

    asyncio.run(run_server(Settings()))


@app.command()
def consumer() -> None:
    """Run the consumer role: work on the queue. For clusters; `kiosk up` starts them itself."""
    from kiosk.bootstrap import run_consumer

    clean = asyncio.new_event_loop().run_until_complete(run_consumer(Settings()))
    sys.stdout.flush()
    # A thread that hangs, or is still busy with a part that was given back, must not delay the
    # end of the process.
    os._exit(0 if clean else 75)


# ---------------------------------------------------------------------------- work


@app.command()
def segment(
    files: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    model: Model = "nuclei",
    out: Out = Path("results"),
    channel: Channel = "",
    parameters: Parameters = None,
    server: Server = "",
) -> None:
    """Find the instances in images.

    Writes for each file NAME_labels.tif (label image), NAME_instances.csv (table),
    NAME_overlay.jpg (picture) and NAME_run.json (how it was made).

    Example: `kiosk segment cells.tif more/*.png --model nuclei --out results`
    """
    from kiosk.batch import find_images, segment_files

    images = find_images(files)
    request = _request(model, out, channel, parameters)

    failed = _ask(server, lambda kiosk: segment_files(kiosk, images, request, console))
    if failed:
        _say(f"{failed} of {len(images)} files failed.")
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
    from kiosk._proto import kiosk_pb2 as pb

    _ask(server, lambda kiosk: kiosk._call("Track", pb.TrackRequest()))


@app.command()
def watch(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder to watch.")],
    model: Model = "nuclei",
    out: Out = Path("results"),
    channel: Channel = "",
    parameters: Parameters = None,
    server: Server = "",
) -> None:
    """Segment every image that appears in a folder, until Ctrl-C."""
    from kiosk.batch import watch_folder

    request = _request(model, out, channel, parameters)

    async def work(kiosk: AsyncKiosk) -> None:
        await kiosk.models()  # say at once when there is no kiosk
        console.print(f"Watching {folder}; results go to {out}. Ctrl-C stops.")
        await watch_folder(kiosk, folder, request, console)

    _ask(server, work)


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


# ---------------------------------------------------------------------------- looking


@models_app.callback()
def models(context: typer.Context, server: Server = "") -> None:
    """List the models that are ready; or show or check one."""
    if context.invoked_subcommand is not None:
        return

    table = Table("model", "versions", "finds", "objects (px)", "licence")
    for card in _ask(server, lambda kiosk: kiosk.models()):
        low, high = card.min_object_diameter_px, card.max_object_diameter_px
        size = f"{low:g}-{high:g}" if high else ""
        name = card.name.removeprefix("models/")
        table.add_row(name, ", ".join(card.versions), card.description, size, card.licence)
    console.print(table)


@models_app.command("show")
def models_show(name: str, server: Server = "") -> None:
    """Show a model and every parameter that `--set` may change, with its range and meaning."""
    card = _ask(server, lambda kiosk: kiosk.model(name))
    console.print(f"{card.display_name}: {card.description}", highlight=False)
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
    from kiosk.model_run import onnx_runner

    _print_checks(check_model(folder, onnx_runner(Settings().servers_dir)))


@jobs_app.callback()
def jobs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    server: Server = "",
) -> None:
    """List jobs, newest first; or show, cancel or delete one."""
    if context.invoked_subcommand is not None:
        return

    table = Table("job", "created", "file", "model", "state", "parts", "error")
    for job in _ask(server, lambda kiosk: kiosk.jobs(limit)):
        table.add_row(
            job.name.removeprefix("jobs/"),
            f"{job.create_time.ToDatetime():%Y-%m-%d %H:%M}",
            job.file_name,
            f"{job.model}:{job.model_version}",
            _state(job),
            f"{job.parts_done}/{job.parts_total}",
            job.error.message,
        )
    console.print(table)


@jobs_app.command("show")
def jobs_show(job: str, server: Server = "") -> None:
    """Show all that is known of a job."""
    from google.protobuf.json_format import MessageToDict

    console.print_json(
        json.dumps(
            MessageToDict(
                _ask(server, lambda kiosk: kiosk.job(job)), preserving_proto_field_name=True
            )
        )
    )


@jobs_app.command("cancel")
def jobs_cancel(job: str, server: Server = "") -> None:
    """Stop a job."""

    console.print(f"The job is {_state(_ask(server, lambda kiosk: kiosk.cancel(job)))}.")


@jobs_app.command("delete")
def jobs_delete(job: str, server: Server = "") -> None:
    """Delete a finished job and its results."""

    _ask(server, lambda kiosk: kiosk.delete(job))
    console.print("Deleted.")


@app.command()
def evaluate(
    predicted: Annotated[Path, typer.Argument(help="Label file, or folder of NAME_labels.tif.")],
    truth: Annotated[Path, typer.Argument(help="Ground truth: file, or folder of NAME.tif.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with every plane, instead of tables.")
    ] = False,
    table: Annotated[
        Path | None, typer.Option("--csv", help="Write a table with one row per plane.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Write curves and the worst planes as a PNG.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Images to show in the picture: folder of NAME.tif.")
    ] = None,
    worst: Annotated[int, typer.Option(min=0, help="Worst planes in the picture.")] = 12,
    groups: Annotated[
        Path | None, typer.Option(help="CSV with a column `name`: figures per group too.")
    ] = None,
    group_by: Annotated[
        str, typer.Option(help="Column of the groups. Default: `group`, or else `modality`.")
    ] = "",
) -> None:
    """Score label images against ground truth: F1 and AP per IoU, SEG, PQ, counts.

    F1 = TP / (TP + (FP + FN) / 2) and AP = TP / (TP + FP + FN), counts pooled over all images.

    Example: `kiosk evaluate results truth --images cells --picture scores.png --csv scores.csv`
    """
    from rich.progress import track

    from kiosk.evaluation import evaluate as compare
    from kiosk.evaluation.groups import read_groups
    from kiosk.evaluation.output import Output
    from kiosk.evaluation.rows import as_dict
    from kiosk.evaluation.tables import print_evaluation

    output = Output(table=table, picture=picture, images=images, worst=worst)
    output.check()
    if group_by and groups is None:
        raise InvalidRequest("--group-by names a column of the file given with --groups; add it.")
    result = compare(
        predicted,
        truth,
        groups=read_groups(groups, group_by) if groups else None,
        # On standard error, so that JSON can be piped.
        track=lambda pairs: track(
            pairs, "images", console=errors, transient=True, disable=not errors.is_terminal
        ),
    )
    if as_json:
        print(json.dumps(as_dict(result), indent=2))
    else:
        print_evaluation(result, console)
    output.write(result, Settings().limits)


@app.command()
def settings() -> None:
    """Print every setting: its environment variable, the value in force, what it is for."""
    from pydantic import BaseModel

    table = Table("variable", "value", "what for")

    def add(prefix: str, group: BaseModel) -> None:
        for name, info in type(group).model_fields.items():
            value = getattr(group, name)
            if isinstance(value, BaseModel):
                add(f"{prefix}{name.upper()}__", value)
            else:
                table.add_row(f"{prefix}{name.upper()}", str(value), info.description or "")

    add("KIOSK_", Settings())
    console.print(table)


@app.command()
def doctor() -> None:
    """Check that this machine has what the kiosk needs, and say what is missing."""
    from kiosk.doctor import check

    _print_checks(check(Settings()))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the sample and its results.")] = Path(
        "demo"
    ),
) -> None:
    """Start a kiosk, segment a made-up movie with known truth, print the figures, stop it."""
    from kiosk.demo import demo as run_demo

    raise typer.Exit(run_demo(out, console))


# ---------------------------------------------------------------------------- inner


def _ask(server: str, question: Callable[[AsyncKiosk], Awaitable[T]]) -> T:
    """Connect to a kiosk, ask it one thing, close the connection."""
    from kiosk.client import AsyncKiosk

    async def work() -> T:
        async with AsyncKiosk(server) as kiosk:
            return await question(kiosk)

    return asyncio.run(work())


def _print_checks(checks: Sequence[Check]) -> None:
    """A line per check; exit code 1 when one has failed."""
    for item in checks:
        mark = "[green]ok[/green]  " if item.ok else "[red]fail[/red]"
        console.print(f"{mark} {item.name}: {item.sentence}", soft_wrap=True, highlight=False)
    if not all(item.ok for item in checks):
        raise typer.Exit(1)


def _request(model: str, out: Path, channel: str, parameters: list[str] | None) -> Any:
    from kiosk.batch import SegmentRequest

    name, _, version = model.partition(":")
    values = {}
    for text in parameters or []:
        key, _, value = text.partition("=")
        try:
            values[key] = float(value)
        except ValueError:
            raise InvalidRequest(f"'{text}' is not of the form NAME=NUMBER.") from None
    return SegmentRequest(out=out, model=name, version=version, channel=channel, parameters=values)


def _state(job: Any) -> str:
    from kiosk._proto import kiosk_pb2 as pb

    return str(pb.JobState.Name(job.state)).removeprefix("JOB_STATE_").lower()


def _say(sentence: str) -> None:
    errors.print(sentence, markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command; a known error is one sentence and exit code 1, not a traceback."""
    try:
        app()
    except KioskError as error:
        _say(error.message)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
