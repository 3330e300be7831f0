"""Figures of many runs: as tables for people, as JSON, CSV and Markdown for other programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from kiosk.simulation.figures import Figures

# What the DeepCell Kiosk's authors published for the burst.
MARK = (
    "Published for the burst by the DeepCell Kiosk: about 5.5 h (50 images/s), about $250 per"
    " million, $85 without traffic between zones."
)
DECIMALS = 4
# Heading, whose blanks part lines, and cell. _APART stand only where interactive and batch images
# come in one trace, _SPEED and _LONGEST only elsewhere, so that 80 letters are wide enough.
_Column = tuple[str, Callable[[Figures], str]]
_NAME: tuple[_Column, ...] = (("policy", lambda one: one.policy),)
_SPEED: tuple[_Column, ...] = (("images per_s", lambda one: f"{one.images_per_s:.1f}"),)
_WAITS: tuple[_Column, ...] = (
    ("wait p50", lambda one: duration(one.wait_p50_s)),
    ("wait p95", lambda one: duration(one.wait_p95_s)),
)
_APART: tuple[_Column, ...] = (
    ("interac- tive_p50", lambda one: duration(one.interactive_p50_s)),
    ("interac- tive_p95", lambda one: duration(one.interactive_p95_s)),
)
_LONGEST: tuple[_Column, ...] = (("longest open", lambda one: duration(one.longest_open_s)),)
_LAST: tuple[_Column, ...] = (
    ("GPU h", lambda one: amount(one.gpu_h)),
    ("idle", lambda one: f"{one.idle_ratio:.0%}"),
    ("scale changes", lambda one: f"{one.scale_changes:,}"),
    ("$", lambda one: amount(one.dollars)),
    ("$_per million", lambda one: f"{one.dollars_per_million:,.0f}"),
)


def print_report(figures: Sequence[Figures], console: Console) -> None:
    """A table for each trace."""
    for trace, rows in groupby(figures, key=lambda one: one.trace):
        several = list(rows)
        is_mixed = _is_mixed(several[0])
        middle = (*_WAITS, *_APART) if is_mixed else (*_SPEED, *_WAITS, *_LONGEST)
        columns = (*_NAME, *middle, *_LAST)
        title = f"{trace}: {several[0].images:,} images"
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0)
        for number, (heading, _) in enumerate(columns):
            lines = heading.replace(" ", "\n").replace("_", " ")
            table.add_column(lines, justify="right" if number else "left", no_wrap=True)
        for one in several:
            table.add_row(*(cell(one) for _, cell in columns))
        console.print(table)
        if trace == "burst":
            console.print(MARK, soft_wrap=True, highlight=False)
        for one in several:
            if one.undone:
                console.print(f"{one.policy} left {one.undone:,} images undone.", highlight=False)


def _is_mixed(one: Figures) -> bool:
    return one.interactive_p50_s is not None and one.batch_p50_s is not None


def markdown(figures: Sequence[Figures]) -> str:
    """The same tables for a document."""
    lines: list[str] = []
    for trace, rows in groupby(figures, key=lambda one: one.trace):
        several = list(rows)
        apart = _APART if _is_mixed(several[0]) else ()
        columns = (*_NAME, *_SPEED, *_WAITS, *apart, *_LONGEST, *_LAST)
        headings = [heading.replace("- ", "").replace("_", " ") for heading, _ in columns]
        lines += [f"### {trace}: {several[0].images:,} images", ""]
        lines += [_row(headings), _row(["---"] + ["---:"] * (len(columns) - 1))]
        lines += [_row([cell(one) for _, cell in columns]) for one in several]
        lines.append("")
    return "\n".join(lines)


def as_rows(figures: Sequence[Figures]) -> list[dict[str, Any]]:
    """Plain values, rounded."""
    return [
        {
            key: round(value, DECIMALS) if isinstance(value, float) else value
            for key, value in asdict(one).items()
        }
        for one in figures
    ]


def write_files(folder: Path, figures: Sequence[Figures]) -> None:
    """figures.json, figures.csv and table.md in a folder that exists."""
    rows = as_rows(figures)
    (folder / "figures.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    with (folder / "figures.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Figures)])
        writer.writeheader()
        writer.writerows(rows)
    (folder / "table.md").write_text(markdown(figures), encoding="utf-8")


def duration(seconds: float | None) -> str:
    """For people, in two figures or more; "-" where there is none."""
    if seconds is None:
        return "-"
    for unit, unit_s in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * unit_s:
            return f"{amount(seconds / unit_s)} {unit}"
    return f"{seconds:.0f} s"


def amount(number: float) -> str:
    """One decimal for what is below ten, none above."""
    return f"{number:.1f}" if number < 9.95 else f"{number:,.0f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
