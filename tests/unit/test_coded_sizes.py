"""Sizes in the headers of coded images."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from kiosk.adapters.images.coded_sizes import LERC, PNG, WEBP, coded_px

PLANE = np.arange(37 * 53, dtype=np.uint16).reshape(37, 53).astype(np.uint8)


@pytest.mark.parametrize(
    ("compression", "data"),
    [
        (7, imagecodecs.jpeg8_encode(PLANE)),
        (34712, imagecodecs.jpeg2k_encode(PLANE)),
        (33003, imagecodecs.jpeg2k_encode(PLANE, codecformat="j2k")),
        (WEBP, imagecodecs.webp_encode(np.stack([PLANE] * 3, -1), lossless=True)),
        (WEBP, imagecodecs.webp_encode(np.stack([PLANE] * 3, -1), level=50)),
        (PNG, imagecodecs.png_encode(PLANE)),
        (LERC, imagecodecs.lerc_encode(PLANE)),
    ],
)
def test_sizes_are_found_in_headers(compression: int, data: bytes) -> None:
    assert coded_px(compression, data) == PLANE.size
    for end in range(0, 40):
        assert coded_px(compression, data[:end]) >= 0


def test_other_compressions_tell_nothing() -> None:
    assert coded_px(8, b"x" * 100) == 0
