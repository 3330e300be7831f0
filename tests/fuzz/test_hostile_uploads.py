"""A short run over hostile uploads, the same each time; `make fuzz` has a long one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fuzzing import DECODING, Tally, run, try_one
from seeds import seeds

from kiosk.adapters.decoder.decoding_files import DecodingImageFiles
from kiosk.reading import ReadOptions
from kiosk.settings import LimitSettings

INPUTS = 300


@pytest.fixture(scope="module")
def files() -> Iterator[DecodingImageFiles]:
    made = DecodingImageFiles(LimitSettings(), DECODING)
    yield made
    made.close()


def test_sound_files_are_read(files: DecodingImageFiles) -> None:
    """Or the mutations would be far from what is read."""
    refused = {"slips.zip", "czi.czi", "nd2.nd2", "lif.lif", "other.gz", "text.tif"}
    for name, data in seeds().items():
        tally = Tally()
        try_one(files, data, name, ReadOptions(), tally)
        assert not tally.bad
        assert (tally.reasons["read"] > 0) == (name not in refused), (name, tally.reasons)


def test_hostile_uploads_do_no_harm(files: DecodingImageFiles) -> None:
    tally = run(files, seed=20, inputs=INPUTS)
    print("\n".join(tally.lines()))
    assert tally.tried >= INPUTS
    assert tally.bad == []
    assert tally.reasons["read"] > INPUTS // 20
    assert len(tally.reasons) > 8
