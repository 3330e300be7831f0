"""A progress bar for the client library."""

from __future__ import annotations

from typing import Any

from kiosk.connection import ProgressCallback


class reporting:  # noqa: N801 - used like a function
    """`progress` as given by the caller, as a callback; draws a bar for True."""

    def __init__(self, progress: bool | ProgressCallback) -> None:
        self._wanted = progress
        self._bar: Any = None

    def __enter__(self) -> ProgressCallback | None:
        if self._wanted is not True:
            return self._wanted or None
        import rich.progress

        self._bar = rich.progress.Progress()
        task = self._bar.add_task("uploading", total=None)
        self._bar.start()
        return lambda step: self._bar.update(
            task, description=step.stage, completed=step.done, total=step.total or None
        )

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
