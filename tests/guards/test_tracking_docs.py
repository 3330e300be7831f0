"""docs/tracking.md stays true: every file, column, reason and number in it is that of the code."""

from __future__ import annotations

import re
from pathlib import Path

from kiosk.exports.tracks import TRACK_FORMATS, kind_of_track_file
from kiosk.exports.tracks.tables import DOUBTFUL_COLUMNS, MOST_LINKS, TRACK_COLUMNS
from kiosk.exports.tracks.tails_picture import TAIL_FRAMES
from kiosk.imaging import track_summary
from kiosk.imaging.ctc_tracks import MOST_TRACKS
from kiosk.imaging.doubtful_links import DOUBTFUL_BELOW
from kiosk.imaging.lineage_layout import MOST_LINES
from kiosk.imaging.shared_labels import APART_SHARE, CELL_SHARE, MOST_PIECES

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/tracking.md").read_text()


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_cells(text: str) -> set[str]:
    rows = re.findall(r"^\| (`.+?) \|", text, re.M)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_every_track_format_is_documented() -> None:
    named = re.findall(r"^\| `([\w-]+)` \| `NAME(\S+)` \|", section("Files"), re.M)
    assert named == [(name, item.ending) for name, item in TRACK_FORMATS.items()]


def test_every_column_is_documented_and_no_other() -> None:
    assert first_cells(section("`NAME_tracks.csv`")) == set(TRACK_COLUMNS)
    assert first_cells(section("`NAME_doubtful_links.csv`")) == set(DOUBTFUL_COLUMNS)
    summary = {
        *track_summary.SUMMARY_COLUMNS,
        *track_summary.TIME_COLUMNS,
        *track_summary.MICROMETRE_COLUMNS,
        *track_summary.SPEED_COLUMNS,
    }
    reasons = {*track_summary.START_REASONS, *track_summary.END_REASONS}
    assert first_cells(section("`NAME_track_summary.csv`")) == summary | reasons


def test_numbers_are_those_of_the_code() -> None:
    assert f"a confidence below {DOUBTFUL_BELOW:g}" in TEXT
    assert f"At most {MOST_LINES} lines" in TEXT
    assert f"At most {MOST_LINKS:,} are listed" in TEXT
    assert f"over the last {TAIL_FRAMES} frames" in TEXT
    assert f"16 bit hold {MOST_TRACKS:,} tracks" in TEXT
    assert (APART_SHARE, CELL_SHARE, MOST_PIECES) == (1 / 2, 1 / 4, 3)
    assert "less than half the cell's diameter" in TEXT
    assert "less than a quarter of the largest" in TEXT
    assert "More than three large pieces" in TEXT
    assert f"below {DOUBTFUL_BELOW:g} it is" in (ROOT / "docs/glossary.md").read_text()


def test_results_are_told_by_their_names() -> None:
    for item in TRACK_FORMATS.values():
        expected = item.media_type, item.description, item.opens_with
        assert kind_of_track_file(f"cells{item.ending}") == expected
