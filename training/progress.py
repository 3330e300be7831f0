"""How a training run tells where it stands: as lines for a log, or as a bar for a person."""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY_STEPS = 100


class Report(Protocol):
    """Hears of every step and every validation of a run."""

    def say(self, line: str) -> None: ...

    def stepped(self, step: int, steps: int, loss: float) -> None: ...

    def validated(self, entry: dict[str, float]) -> None: ...


class Lines:
    """Plain lines, for logs."""

    def __init__(self) -> None:
        self._losses: list[float] = []
        self._since_s = time.monotonic()

    def say(self, line: str) -> None:
        print(line, flush=True)

    def stepped(self, step: int, steps: int, loss: float) -> None:
        self._losses.append(loss)
        if step % LINE_EVERY_STEPS:
            return
        pace_s = (time.monotonic() - self._since_s) / len(self._losses)
        mean = sum(self._losses) / len(self._losses)
        left_min = (steps - step) * pace_s / 60
        self.say(
            f"step {step}/{steps} loss {mean:.4f} {pace_s:.2f} s/step, {left_min:.0f} min left"
        )
        self._losses, self._since_s = [], time.monotonic()

    def validated(self, entry: dict[str, float]) -> None:
        self.say(json.dumps(entry))


class Bar(AbstractContextManager["Bar"]):
    """A progress bar with the loss and the latest F1."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} steps"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("Training", total=None, figures="")
        self._loss = 0.0
        self._f1 = ""

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        self._progress.console.print(line, highlight=False)

    def stepped(self, step: int, steps: int, loss: float) -> None:
        self._progress.start()
        self._loss = loss if self._loss == 0 else 0.95 * self._loss + 0.05 * loss
        figures = f"loss {self._loss:.3f}{self._f1}"
        self._progress.update(self._task, total=steps, completed=step, figures=figures)

    def validated(self, entry: dict[str, float]) -> None:
        self._f1 = f"  F1 {entry['f1']:.3f}"
