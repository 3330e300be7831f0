"""Measurements against a plain loop over the instances."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.imaging import measurements
from kiosk.imaging.measurements import COLUMNS, measure
from kiosk.imaging.tiling import iter_bands


def plainly(labels: np.ndarray, pixels: np.ndarray) -> list[dict[str, float]]:
    """One instance after the other, as one would do it by hand."""
    rows = []
    for label in sorted(set(labels.ravel().tolist()) - {0}):
        y, x = np.nonzero(labels == label)
        values = [float(np.mean(pixels[:, i, j].astype(float))) for i, j in zip(y, x, strict=True)]
        finite = [value for value in values if np.isfinite(value)]
        border = y.min() == 0 or x.min() == 0
        border |= y.max() == labels.shape[0] - 1 or x.max() == labels.shape[1] - 1
        rows.append(
            {
                "label": label,
                "y_px": y.mean(),
                "x_px": x.mean(),
                "area_px": y.size,
                "min_y_px": y.min(),
                "min_x_px": x.min(),
                "max_y_px": y.max() + 1,
                "max_x_px": x.max() + 1,
                "mean_intensity": np.mean(finite) if finite else np.nan,
                "touches_border": int(border),
            }
        )
    return rows


def check(labels: np.ndarray, pixels: np.ndarray) -> None:
    expected, columns = plainly(labels, pixels), measure(labels, pixels)
    assert list(COLUMNS) == list(columns)
    for name, values in columns.items():
        np.testing.assert_allclose(values, [row[name] for row in expected], err_msg=name)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["?", "u1", "u2", "i4", "f4"])
def test_agrees_with_a_plain_loop(channels: int, dtype: str) -> None:
    random = np.random.default_rng(7)
    labels = random.integers(0, 12, (15, 18)).astype(np.uint32)
    check(labels, random.integers(0, 200, (channels, 15, 18)).astype(dtype))


def test_small_bands_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plane is measured band by band; here each band is one row."""
    monkeypatch.setattr(measurements, "iter_bands", lambda h, w: iter_bands(h, w, band_px=1))
    random = np.random.default_rng(8)
    check(random.integers(0, 5, (20, 9)).astype(np.uint16), random.normal(size=(1, 20, 9)))


def test_labels_need_not_be_consecutive() -> None:
    labels = np.array([[0, 900, 900], [7, 0, 900]], np.uint32)
    columns = measure(labels, np.ones((1, 2, 3)))
    assert columns["label"].tolist() == [7, 900]
    assert columns["area_px"].tolist() == [1, 3]


def test_border_is_touched_on_each_side_and_not_inside() -> None:
    labels = np.zeros((5, 5), np.uint32)
    labels[0, 2], labels[2, 0], labels[4, 2], labels[2, 4], labels[2, 2] = 1, 2, 3, 4, 5
    assert measure(labels, np.ones((1, 5, 5)))["touches_border"].tolist() == [1, 1, 1, 1, 0]


def test_not_finite_pixels_are_left_out_of_the_mean() -> None:
    labels = np.array([[1, 1, 1, 2]], np.uint32)
    pixels = np.array([[[2.0, np.nan, 4.0, np.inf]]])
    mean = measure(labels, pixels)["mean_intensity"]
    assert mean[0] == 3.0
    assert np.isnan(mean[1])


def test_no_instances_give_empty_columns() -> None:
    columns = measure(np.zeros((4, 4), np.uint32), np.ones((1, 4, 4)))
    assert {0} == {values.size for values in columns.values()}


def test_bands_cover_every_row_once() -> None:
    for height, width, band_px in ((10, 3, 7), (1, 1, 1), (5, 1000, 1), (0, 4, 9)):
        rows = [row for band in iter_bands(height, width, band_px) for row in range(height)[band]]
        assert list(range(height)) == rows
