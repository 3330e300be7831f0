"""Commands that roll out models: `kiosk models sync`, `load`, `promote`, `rollback` and so on.

They ask Redis and Triton and no server: to be run where the kiosk runs, or in one of its pods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.table import Table

from kiosk.cli.here import settings_here
from kiosk.cli.looking import models_app
from kiosk.cli.terminal import console, plain, say
from kiosk.errors import InvalidRequest
from kiosk.settings import Settings

if TYPE_CHECKING:
    from kiosk.model_control import ModelControl, ModelState
    from kiosk.rollouts import Rollout

T = TypeVar("T")

Named = Annotated[str, typer.Argument(metavar="NAME[:VERSION]", show_default=False)]
Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]


@models_app.command("load")
def models_load(
    model: Named,
    canary: Annotated[
        str,
        typer.Option(metavar="PERCENT", help="Share of new jobs that the version gets, e.g. 10%."),
    ] = "",
    wait_s: Annotated[
        float,
        typer.Option(min=0, help="Wait so long for a model folder that is still being copied."),
    ] = 0.0,
) -> None:
    """Load a version on every Triton, and try it there with an empty tile.

    Jobs go on with the version that they had; `promote` gives them the new one.

    Example: `kiosk models load nuclei:3 --canary 10%`
    """
    name, version = _name_and_version(model)
    ratio = _ratio(canary) if canary else 0.0
    loaded = _with_control(lambda control: control.load(name, version, ratio, wait_s))
    if not ratio:
        say(f"`kiosk models promote {name}:{loaded}` gives it the jobs.")


@models_app.command("promote")
def models_promote(model: Annotated[str, typer.Argument(metavar="NAME:VERSION")]) -> None:
    """Give all new jobs to a version, which every Triton must have ready.

    Jobs that were accepted before keep their version. `rollback` takes it back.
    """
    name, version = _name_and_version(model)
    if not version:
        raise InvalidRequest(f"Name the version, as in {name}:2.")
    _print_rollout(_with_control(lambda control: control.promote(name, version)))


@models_app.command("rollback")
def models_rollback(model: Name) -> None:
    """End the canary of a model; or, where there is none, promote its previous version again."""
    _print_rollout(_with_control(lambda control: control.rollback(model)))


@models_app.command("unpin")
def models_unpin(model: Name) -> None:
    """Forget what was promoted: the newest version that is ready gets the jobs, as at first."""
    _with_control(lambda control: control.unpin(model))
    console.print(f"The newest version of '{plain(model)}' gets new jobs.", highlight=False)


@models_app.command("unload")
def models_unload(
    model: Named,
    force: Annotated[
        bool, typer.Option("--force", help="Also while jobs need it, or new ones would get it.")
    ] = False,
) -> None:
    """Unload a model, or one version of it, from every Triton.

    A version that is still in the model repository is loaded again when the model is, or when
    Triton starts: remove its folder too.
    """
    name, version = _name_and_version(model)
    _with_control(lambda control: control.unload(name, version, force=force))


@models_app.command("status")
def models_status(model: Annotated[str, typer.Argument(metavar="[NAME]")] = "") -> None:
    """Show where each version is loaded, and which ones get the jobs."""

    async def found(control: ModelControl) -> list[ModelState]:
        return [await control.state(model)] if model else await control.status()

    table = Table("model", "version", "jobs", "ready on", "not ready")
    for state in _with_control(found):
        for version, where in state.versions.items():
            total = len(where.ready) + len(where.missing)
            missing = "; ".join(f"{address}: {why}" for address, why in where.missing.items())
            role = _role(state, version)
            ready = f"{len(where.ready)} of {total}"
            table.add_row(plain(state.model), version, role, ready, plain(missing))
    console.print(table)


@models_app.command("sync")
def models_sync(
    source: Annotated[
        str, typer.Argument(help="Model repository: a folder, s3://bucket/prefix or gs://...")
    ],
    folder: Annotated[Path, typer.Argument(help="Folder that is to hold the same.")],
    every_s: Annotated[
        float, typer.Option(min=0, help="Again every so many seconds; 0 = once.")
    ] = 0.0,
) -> None:
    """Copy a model repository to a folder, and keep it up to date there.

    Copies what has changed; a version appears complete or not at all. Nothing is loaded by that:
    see `load`. Buckets are opened with the usual variables (AWS_..., GOOGLE_...).

    Example: `kiosk models sync s3://lab-models/ /models --every-s 30`
    """
    from kiosk.bootstrap import sync_models

    asyncio.run(sync_models(Settings(), source, folder, every_s, say))


def _with_control(question: Callable[[ModelControl], Awaitable[T]]) -> T:
    from kiosk.bootstrap import model_control

    async def work() -> T:
        async with model_control(settings_here(), say) as control:
            return await question(control)

    return asyncio.run(work())


def _name_and_version(text: str) -> tuple[str, str]:
    name, _, version = text.partition(":")
    if not name or (version and not (version.isascii() and version.isdigit())):
        raise InvalidRequest(f"'{text}' is not of the form NAME or NAME:VERSION, as in nuclei:2.")
    return name, version


def _ratio(text: str) -> float:
    number = text.strip().removesuffix("%").strip()
    try:
        value = float(number) / 100
    except ValueError:
        value = -1.0
    if not text.strip().endswith("%") or not 0 < value <= 1:
        raise InvalidRequest(f"'{text}' is no share of the jobs; write it as in 10%.")
    return value


def _print_rollout(rollout: Rollout) -> None:
    previous = f" (before: {rollout.previous})" if rollout.previous else ""
    console.print(
        f"Within seconds new jobs for '{plain(rollout.model)}' go to version"
        f" {rollout.promoted}{previous}.",
        highlight=False,
    )


def _role(state: ModelState, version: str) -> str:
    """What a version does for new jobs."""
    rollout = state.rollout
    if rollout is None:
        ready = [name for name, where in state.versions.items() if where.ready]
        return "all (newest)" if ready and version == ready[-1] else ""
    if version == rollout.canary:
        return f"{100 * rollout.canary_ratio:.3g} % (canary)"
    if version == rollout.promoted:
        return f"{100 * (1 - rollout.canary_ratio):.3g} % (promoted)"
    return "previous" if version == rollout.previous else ""
