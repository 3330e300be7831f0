"""Folders of annotated images: what is taken, and in which words the rest is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

pytest.importorskip("torch")

from kiosk.errors import InvalidRequest
from kiosk.testing.fake_inference import make_card
from training.folders import read_folder

CARD = make_card(accepts_rgb=False)


def squares(number: int = 12) -> np.ndarray:
    labels = np.zeros((64, 64), np.uint16)
    for i in range(number):
        y, x = divmod(i, 4)
        labels[4 + 15 * y : 12 + 15 * y, 4 + 15 * x : 12 + 15 * x] = i + 1
    return labels


def write(folder: Path, name: str, array: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(folder / name, array, photometric="minisblack")


def test_two_folders(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path / "images", f"{name}.tif", squares() * 10)
        write(tmp_path / "labels", f"{name}.tif", squares() * 3)
    planes = read_folder(tmp_path, CARD)
    assert [plane.name for plane in planes] == ["a", "b"]
    np.testing.assert_array_equal(planes[0].labels, squares())  # numbered anew, 1..n


def test_side_by_side_and_stacks(tmp_path: Path) -> None:
    write(tmp_path, "movie.tif", np.stack([squares()] * 3))
    write(tmp_path, "movie_masks.tif", np.stack([squares()] * 3))
    assert [plane.name for plane in read_folder(tmp_path, CARD)] == [
        "movie_0",
        "movie_1",
        "movie_2",
    ]


def binary(folder: Path) -> None:
    write(folder, "a.tif", squares())
    write(folder, "a_mask.tif", (squares() > 0).astype(np.uint8) * 255)


def lonely(folder: Path) -> None:
    write(folder, "a.tif", squares())
    write(folder, "a_mask.tif", squares())
    write(folder, "b.tif", squares())


def other_shape(folder: Path) -> None:
    write(folder, "a.tif", squares()[:50])
    write(folder, "a_mask.tif", squares())


def fractions(folder: Path) -> None:
    write(folder, "a.tif", squares())
    write(folder, "a_mask.tif", squares() / np.float32(2))


def few(folder: Path) -> None:
    write(folder, "a.tif", squares())
    write(folder, "a_mask.tif", squares(number=3))


def frames(folder: Path) -> None:
    write(folder, "a.tif", np.stack([squares()] * 2))
    write(folder, "a_mask.tif", squares())


def nothing(folder: Path) -> None:
    write(folder, "a.tif", squares())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (binary, "one value (255) for all cells"),
        (lonely, "'b.tif' has no labels"),
        (other_shape, "50 x 64 px and its labels 'a_mask.tif' 64 x 64 px"),
        (fractions, "whole numbers"),
        (few, "hold 3 cells; at least 10"),
        (frames, "has 2 planes and its labels 'a_mask.tif' 1"),
        (nothing, "No image in"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(
    tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    make(tmp_path)
    with pytest.raises(InvalidRequest) as refused:
        read_folder(tmp_path, CARD)
    assert words in str(refused.value)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="There is no folder"):
        read_folder(tmp_path / "missing", CARD)
