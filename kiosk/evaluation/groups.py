"""Which image belongs to which group: a CSV file with a row per image."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kiosk.errors import InvalidRequest
from kiosk.evaluation.pairs import Pair

NAME_COLUMN = "name"
# Taken in this order when no column was asked for.
USUAL_COLUMNS = ("group", "modality")


@dataclass(frozen=True)
class Groups:
    """Group of every image, by name; `column` is where the groups come from."""

    column: str
    of_name: Mapping[str, str]

    def of(self, pair: Pair) -> str:
        """The group of a pair, listed under the stem of its truth file or of its image."""
        return self.of_name.get(pair.name) or self.of_name[pair.image_name]

    def check(self, pairs: Sequence[Pair]) -> None:
        """Raises InvalidRequest when an image has no group."""
        bare = [p.name for p in pairs if not {p.name, p.image_name} & self.of_name.keys()]
        if bare:
            raise InvalidRequest(
                f"{len(bare)} of {len(pairs)} images have no row in the groups file, the first"
                f" is '{bare[0]}'. Its column '{NAME_COLUMN}' must hold the names of the truth"
                " files without .tif."
            )


def read_groups(path: Path, column: str = "") -> Groups:
    """Groups from a CSV file with a column `name`; rows of other images are allowed.

    Args:
        path: comma-separated, UTF-8, with a header.
        column: the column with the groups; "" = `group`, or else `modality`.

    Raises:
        InvalidRequest: the file or a column is missing, a row is incomplete, or an image is in
            two groups.
    """
    header, rows = _read(path)
    if NAME_COLUMN not in header:
        raise InvalidRequest(
            f"'{path}' needs a column '{NAME_COLUMN}'; its columns are: {_listed(header)}."
        )
    column = column or next((usual for usual in USUAL_COLUMNS if usual in header), "")
    if column not in header:
        asked = f"no column '{column}'" if column else "no column 'group' or 'modality'"
        raise InvalidRequest(
            f"'{path}' has {asked}; choose one of its columns with --group-by: {_listed(header)}."
        )
    of_name: dict[str, str] = {}
    for number, row in rows:
        name, group = (row[NAME_COLUMN] or "").strip(), (row[column] or "").strip()
        if not name or not group:
            empty = column if name else NAME_COLUMN
            raise InvalidRequest(f"Line {number} of '{path}' has no '{empty}'; fill it in.")
        if of_name.setdefault(name, group) != group:
            raise InvalidRequest(
                f"'{path}' puts '{name}' into two groups, '{of_name[name]}' and '{group}'; keep"
                " one row per image."
            )
    return Groups(column, of_name)


def _read(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str | None]]]]:
    """(header, (line number, row) of each row)."""
    try:
        # utf-8-sig: spreadsheets put a byte-order mark in front of the first column's name.
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            return header, [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise InvalidRequest(f"'{path}' cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(
            f"'{path}' is no CSV table; save it as comma-separated UTF-8 text."
        ) from error


def _listed(header: Sequence[str]) -> str:
    return ", ".join(header) or "none"
