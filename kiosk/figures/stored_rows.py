"""A stored table of instances, of which a few planes or a few columns are wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from kiosk.exports.writer import Table

# Values of the columns by which rows ascend, or of the first of them.
Key = tuple[int, ...]
# Those columns, as the tables of planes, stacks and tracks have them.
_ORDER = ("t", "frame", "z")


class StoredRows(Protocol):
    """Rows in the order of their planes; for use in one thread.

    Attributes:
        columns: all names, in order.
    """

    columns: Sequence[str]

    def read(self, columns: Sequence[str], first: Key = (), last: Key = ()) -> Iterator[Table]:
        """These columns as (row,) float64, NaN where nothing is known, in pieces.

        Args:
            first, last: planes (t, z), or time points (t,), both included; () = no bound.
        """


def row_order(columns: Sequence[str]) -> list[str]:
    """The columns by which the rows of a table ascend."""
    return [name for name in _ORDER if name in columns]
