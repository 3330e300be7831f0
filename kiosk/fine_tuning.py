"""`kiosk train`: hands over to the training code, which needs packages of its own."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from kiosk.errors import PermanentError
from kiosk.settings import Settings


def fine_tune(
    settings: Settings,
    model: str,
    data: Path,
    out: Path,
    *,
    channel: str = "",
    steps: int | None = None,
    learning_rate: float | None = None,
    seed: int = 1,
) -> Any:
    """Train `model` (NAME or NAME:VERSION) further on annotated images and write `out`.

    Returns:
        `training.adapted_card.Adaptation`: figures before and after.

    Raises:
        InvalidRequest: the data or `out` cannot be used.
        PermanentError: the packages for training are not there.
    """
    try:
        adapt = importlib.import_module("training.adapt")
        progress = importlib.import_module("training.progress")
    except ModuleNotFoundError as error:
        raise PermanentError(
            f"Training needs packages that are not installed ('{error.name}' is missing). Install"
            " them with: make setup-train"
        ) from error
    name, _, version = model.partition(":")
    choices = {"steps": steps, "learning_rate": learning_rate}
    request = adapt.Request(
        base=settings.model_repository / name,
        base_version=version,
        data=data,
        out=out.absolute(),
        work=settings.home.absolute() / "training" / f"{out.parent.name}-{out.name}",
        channel=channel,
        seed=seed,
        **{key: value for key, value in choices.items() if value is not None},
    )
    with progress.Bar() as bar:
        return adapt.adapt(request, bar)
