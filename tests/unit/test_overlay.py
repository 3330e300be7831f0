"""The picture of a result: the plane, or the part of it that was segmented, with outlines."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from segmented import kiosk_with, ome, segmented, spots

from kiosk.exports import overlay, qc_sheet
from kiosk.request import Region


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (overlay, qc_sheet):
        monkeypatch.setattr(module, "PICTURE_PX", 40)


def pyramid(image: np.ndarray) -> bytes:
    """OME-TIFF with every resolution down to a few pixels, rounded up as Bio-Formats does."""
    file = io.BytesIO()
    options: dict[str, Any] = {"tile": (16, 16), "photometric": "minisblack"}
    with tifffile.TiffWriter(file, ome=True) as writer:
        writer.write(image, subifds=3, metadata={"axes": "YX"}, **options)
        for level in (1, 2, 3):
            writer.write(image[:: 2**level, :: 2**level], subfiletype=1, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "shape", [(401, 333), (318, 377), (332, 203), (345, 404), (359, 383), (374, 338)]
)
@pytest.mark.parametrize("region", [None, (11, 17, 301, 190)])
async def test_pictures_of_pyramids_of_any_size(
    shape: tuple[int, int], region: tuple[int, ...] | None
) -> None:
    names = ("min_y_px", "min_x_px", "max_y_px", "max_x_px")
    asked = Region(**dict(zip(names, region, strict=True))) if region else None
    found = await segmented(
        pyramid(spots(shape)),
        kiosk_with(),
        region=asked,
        formats=("labels", "table", "overlay", "qc"),
    )
    assert max(found.overlay.shape) == 40


@pytest.mark.parametrize("block_px", [2560, 64])
async def test_the_picture_of_a_region_is_of_the_region(block_px: int) -> None:
    image = np.zeros((120, 200), np.uint8)
    image[40:60, 100:120] = 200
    region = Region(min_y_px=30, min_x_px=90, max_y_px=70, max_x_px=130)
    found = await segmented(
        ome(image, "YX"), kiosk_with(block_px=block_px, block_halo_px=16), region=region
    )
    assert found.overlay.shape[:2] == (40, 40)
    grey = found.overlay.mean(axis=2)
    assert grey[14:26, 14:26].min() > 150
    assert grey[:8].max() < 100
    coloured = np.ptp(found.overlay.astype(int), axis=2) > 60
    assert coloured[10:30, 10:30].any()
    assert not coloured[:8].any()
