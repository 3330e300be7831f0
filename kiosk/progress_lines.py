"""Lines and progress bars of many images at once on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kiosk.connection import Progress as Step
from kiosk.connection import ProgressCallback
from kiosk.jobs import plain_name


class ProgressLines:
    """Bars for what is going on, and above them a line for everything that has ended.

    Without a terminal, as in a log file, there are only the lines.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._files = self._bars.add_task("files", total=0, visible=False)

    def __enter__(self) -> ProgressLines:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def expect(self, files: int) -> None:
        """Show a bar for so many files, if there are several."""
        self._bars.update(self._files, total=files, visible=files > 1)

    def advance(self) -> None:
        """One file more is through."""
        self._bars.advance(self._files)

    @contextmanager
    def bar(self, shown: str) -> Iterator[ProgressCallback]:
        """A bar for one image, and the function that moves it."""
        task = self._bars.add_task(_escaped(shown), total=None)

        def show(step: Step) -> None:
            self._bars.update(
                task,
                description=f"{_escaped(shown)}: {step.stage}",
                completed=step.done,
                total=step.total or None,
            )

        try:
            yield show
        finally:
            self._bars.remove_task(task)

    def say(self, style: str, word: str, sentence: str) -> None:
        """A line that begins with a coloured word; not wrapped, to be searched and copied."""
        self._print(f"[{style}]{word:<6}[/{style}] {_escaped(sentence)}")

    def note(self, sentence: str) -> None:
        """A pale line below the one before."""
        self._print(f"[dim]       {_escaped(sentence)}[/dim]")

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, highlight=False)


def _escaped(text: str) -> str:
    return escape(plain_name(text))
