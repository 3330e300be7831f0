"""The rows of a table of tracks as people have edited it, in Excel or elsewhere."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kiosk.errors import InvalidRequest

if TYPE_CHECKING:
    from _csv import Reader

# Other names that tables of tracks use for the same columns.
ALIASES = {"t": "frame", "y": "y_px", "x": "x_px", "z": "z_px", "track": "track_id",
           "parent": "parent_id"}  # fmt: skip
AT_A_TIME_ROWS = 10_000
_WANTED = (
    "frame", "track_id", "label", "parent_id", "z_px", "y_px", "x_px", "link_confidence",
)  # fmt: skip
_DELIMITERS = ",;\t"
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True)
class CorrectedRows:
    """Columns of equal length (row,), in the order of the file.

    Attributes:
        line: int64 line in the file, counted from 1, for messages.
        frame, track: int64.
        label: int64; -1 where the file does not say it.
        parent: int64; 0 where there is none or the file does not say it.
        place: (row, 3) float64 z, y, x in pixels; NaN where the file does not say it.
        confidence: float64; of the link that leads to it, NaN where the file does not say it.
    """

    line: np.ndarray
    frame: np.ndarray
    label: np.ndarray
    track: np.ndarray
    parent: np.ndarray
    place: np.ndarray
    confidence: np.ndarray


def read_rows(data: bytes, name: str) -> CorrectedRows:
    """The rows of an edited `NAME_tracks.csv`.

    Comma, semicolon or tab between columns, point or (but for commas) comma as decimal mark, UTF-8
    with or without byte-order mark, UTF-16 or Windows' own letters. Columns in any order; needed
    are frame, track_id, and label or y_px and x_px.

    Args:
        name: of the file, for messages.

    Raises:
        InvalidRequest: a column or a number is missing.
    """
    file = io.TextIOWrapper(io.BytesIO(data), _encoding(data), "replace", newline="")
    head, skipped = file.readline(), 0
    if head.lower().startswith("sep="):
        head, skipped = file.readline(), 1
    delimiter = max(_DELIMITERS, key=head.count)
    try:
        columns = _columns(next(csv.reader([head], delimiter=delimiter), []), name)
        places = [columns.get(column, -1) for column in _WANTED]
        table = _numbers(csv.reader(file, delimiter=delimiter), places, delimiter, skipped, name)
    except csv.Error as error:
        raise InvalidRequest(
            f"'{name}' cannot be read as a table: {error}.", reason="BAD_TRACKS"
        ) from error
    return _checked(table, name)


def mothers_of(rows: CorrectedRows) -> dict[int, int]:
    """The mother of every track: what its first row says.

    A mother that has no rows any more, but whose cells have another track now, is that track:
    `label` is the number that a cell had when the table was written.
    """
    order = np.argsort(rows.frame, kind="stable")
    tracks, first = np.unique(rows.track[order], return_index=True)
    there = set(tracks.tolist())
    mothers = {}
    for track, at in zip(tracks.tolist(), order[first].tolist(), strict=True):
        mother = int(rows.parent[at])
        if mother and mother not in there:
            mother = _renamed(rows, mother, int(rows.frame[at]))
        mothers[track] = mother
    return mothers


def text_of(data: bytes) -> str:
    """What a text file says: UTF-8, UTF-16 or Windows' own letters."""
    return data.decode(_encoding(data), "replace")


def read_ctc_mothers(text: str, name: str) -> dict[int, int]:
    """The mother of every track in a res_track.txt or man_track.txt: L B E P in every line.

    Raises:
        InvalidRequest: a line is not four whole numbers.
    """
    mothers = {}
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        if not (words := line.split()):
            continue
        try:
            track, _, _, mother = map(int, words)
        except ValueError as error:
            raise InvalidRequest(
                f"Line {number} of '{name}' must be four whole numbers: L B E P.",
                reason="BAD_TRACKS",
            ) from error
        mothers[track] = mother
    return mothers


def _renamed(rows: CorrectedRows, mother: int, before: int) -> int:
    """The track of the last cell that was of this track; the same number where there is none."""
    was = np.flatnonzero((rows.label == mother) & (rows.frame < before))
    return int(rows.track[was[np.argmax(rows.frame[was])]]) if len(was) else mother


def _encoding(data: bytes) -> str:
    if data[:2] in _BYTE_ORDER_MARKS:
        return "utf-16"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _columns(header: Sequence[str], name: str) -> dict[str, int]:
    """Where each column is."""
    names = [cell.strip().lower() for cell in header]
    columns = {ALIASES.get(one, one): place for place, one in enumerate(names)}
    columns |= {one: place for place, one in enumerate(names)}
    missing = [one for one in ("frame", "track_id") if one not in columns]
    if "label" not in columns and not {"y_px", "x_px"} <= columns.keys():
        missing.append("label (or y_px and x_px)")
    if missing:
        raise InvalidRequest(
            f"'{name}' has no column {' and no column '.join(missing)}; keep the header line of"
            " NAME_tracks.csv.",
            reason="BAD_TRACKS",
        )
    return columns


def _numbers(
    reader: Reader, places: Sequence[int], delimiter: str, skipped: int, name: str
) -> np.ndarray:
    """(1 + column, row) float64: the line in the file, then the numbers at these places.

    Args:
        skipped: lines before the header.
    """
    pieces: list[np.ndarray] = [np.zeros((0, 1 + len(places)))]
    rows: list[list[float]] = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        line = reader.line_num + skipped + 1
        try:
            rows.append([line, *(_number(cells, place, delimiter) for place in places)])
        except ValueError as error:
            raise InvalidRequest(
                f"Line {line} of '{name}' has '{error}' where a number must be.",
                reason="BAD_TRACKS",
            ) from error
        if len(rows) == AT_A_TIME_ROWS:  # as an array they take a tenth of the room
            pieces.append(np.array(rows))
            rows = []
    if rows:
        pieces.append(np.array(rows))
    return np.concatenate(pieces).T


def _number(cells: Sequence[str], place: int, delimiter: str) -> float:
    """The number in a cell; NaN for an empty one and where there is no such column."""
    text = cells[place].strip() if 0 <= place < len(cells) else ""
    if not text:
        return math.nan
    try:
        return float(text if delimiter == "," else text.replace(",", "."))
    except ValueError:
        raise ValueError(text[:40]) from None


def _checked(table: np.ndarray, name: str) -> CorrectedRows:
    line, frame, track, label, parent, z, y, x, confidence = table
    line = line.astype(np.int64)
    nowhere = np.isnan(label) & (np.isnan(y) | np.isnan(x))
    for column, values, bad in (
        ("frame", frame, np.isnan(frame)),
        ("track_id", track, np.isnan(track)),
        ("label (or y_px and x_px)", label, nowhere),
    ):
        if np.any(bad):
            raise InvalidRequest(
                f"Line {line[np.argmax(bad)]} of '{name}' has no {column}; fill it in or delete"
                " the line.",
                reason="BAD_TRACKS",
            )
        _check_whole(line, values, column, name)
    _check_whole(line, parent, "parent_id", name)
    return CorrectedRows(
        line=line,
        frame=frame.astype(np.int64),
        label=np.where(np.isnan(label), -1, label).astype(np.int64),
        track=track.astype(np.int64),
        parent=np.nan_to_num(parent).astype(np.int64),
        place=np.stack([z, y, x], axis=1),
        confidence=confidence,
    )


def _check_whole(line: np.ndarray, values: np.ndarray, column: str, name: str) -> None:
    known = np.where(np.isnan(values), 0, values)
    bad = (known != np.floor(known)) | (known < 0) | (known > np.iinfo(np.uint32).max)
    if np.any(bad):
        at = int(np.argmax(bad))
        raise InvalidRequest(
            f"Line {line[at]} of '{name}' has the {column} {values[at]:g}; it must be a whole"
            " number from 0.",
            reason="BAD_TRACKS",
        )
