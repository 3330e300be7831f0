"""Any table of tracks, in any order of its rows, is the lineage it was written from."""

from __future__ import annotations

import numpy as np
from forests import Forest, forests
from hypothesis import given
from hypothesis import strategies as st

from kiosk.imaging.corrected_rows import read_rows
from kiosk.imaging.corrections import lineage_from_rows
from kiosk.imaging.lineage import lineage_from_tracks


def no_place(frame: int, places: np.ndarray) -> np.ndarray:
    raise AssertionError("every row has its label")


@given(forests(), st.sampled_from(",;\t"), st.data())
def test_tables_become_the_forest_they_are_from(
    forest: Forest, delimiter: str, data: st.DataObject
) -> None:
    frame, label, track = forest.instances()
    parents = forest.parents()
    rows = [
        [str(f), str(one), str(number), str(parents[number])]
        for f, one, number in zip(frame.tolist(), label.tolist(), track.tolist(), strict=True)
    ]
    columns = data.draw(st.permutations(range(4)))
    lines = [["frame", "label", "track_id", "parent_id"], *data.draw(st.permutations(rows))]
    text = "\r\n".join(delimiter.join(line[place] for place in columns) for line in lines)
    found = lineage_from_rows(read_rows(text.encode(), "x"), forest.frame_labels(), no_place, "x")
    expected = lineage_from_tracks(frame, label, track, parents)
    for name in vars(expected):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
