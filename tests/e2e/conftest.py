"""One real kiosk for all end-to-end tests: real Redis, real Triton, real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk.demo import started
from kiosk.errors import KioskError
from kiosk.machine import RunningKiosk, server_files
from kiosk.settings import Settings


@pytest.fixture(scope="session")
def kiosk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningKiosk]:
    try:
        server_files(Settings().servers_dir)
    except KioskError as error:
        pytest.skip(error.message)
    with started(tmp_path_factory.mktemp("kiosk")) as running:
        yield running


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """A small stack with a few nuclei, as an ImageJ file."""
    import tifffile

    from kiosk.imaging.sample import make_sample

    path = tmp_path / "movie.tif"
    sample = make_sample(frames=3, height_px=200, width_px=240, nuclei=12)
    tifffile.imwrite(path, sample.images, imagej=True, metadata={"axes": "TYX"})
    return path
