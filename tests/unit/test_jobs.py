"""The nouns: states, ids, and the safe names of results."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.jobs import JobState, new_id, parts_prefix, result_stem, results_prefix, upload_key


@pytest.mark.parametrize(
    ("file_name", "stem"),
    [
        ("cells.tif", "cells"),
        ("cells.ome.tif", "cells.ome"),
        ("cells", "cells"),
        ("two words (1)+-_.tif", "two words (1)+-_"),
        ("a,b;c.tif", "a_b_c"),
        ("/etc/passwd", "passwd"),
        ("../../secret.tif", "secret"),
        ("C:\\images\\cells.tif", "cells"),
        ("..", "image"),
        ("...tif", "image"),
        (".hidden", "hidden"),
        (".tif", "tif"),
        ("", "image"),
        ("   ", "image"),
        ("/", "image"),
        ("name/", "image"),
        ("Zellkörper 漢字.tif", "Zellkörper 漢字"),
        ("A\u0308rger.tif", "Ärger"),
        ("😀.tif", "_"),
        ("a\x00b\nc.tif", "a_b_c"),
        ('<"|?*%>.tif', "_______"),
        ("\ud800.tif", "_"),
    ],
)
def test_stem_of_hostile_and_friendly_names(file_name: str, stem: str) -> None:
    assert stem == result_stem(file_name)


@given(st.text() | st.text("漢é/\\. ,", max_size=400))
def test_stem_is_always_a_safe_name(file_name: str) -> None:
    """It fits a file system with the longest ending, and stays in its folder."""
    stem = result_stem(file_name)
    assert stem
    assert len(f"{stem}_instances.csv".encode()) <= 255
    assert not set(stem) & set('/\\:*?"<>|%\0\n\r,;')
    assert stem.lstrip(". ") == stem
    assert stem == result_stem(f"{stem}.tif") or len(stem.encode()) >= 119


def test_long_name_is_cut_between_characters() -> None:
    assert result_stem("a" * 500 + ".tif") == "a" * 120
    assert result_stem("漢" * 500 + ".tif") == "漢" * 40
    assert result_stem("a" + "漢" * 500 + ".tif") == "a" + "漢" * 39


def test_final_states() -> None:
    assert {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED} == {
        state for state in JobState if state.is_final
    }


def test_ids_are_short_plain_and_never_the_same() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {26} == {len(found) for found in ids}
    assert all(found.isascii() and found.isalnum() and found.islower() for found in ids)


def test_keys_of_a_job_lie_below_its_own_prefix() -> None:
    assert upload_key("u1") == "uploads/u1/data"
    assert results_prefix("j1") == "jobs/j1/results/"
    assert parts_prefix("j1") == "jobs/j1/parts/"
