"""The picture of an evaluation: charts, tiles with outlines, images below them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from kiosk.errors import InvalidRequest
from kiosk.evaluation import Evaluation, evaluate
from kiosk.evaluation.curves import MOST_GROUPS, chart_rows
from kiosk.evaluation.groups import Groups
from kiosk.evaluation.images import ImageFolder
from kiosk.evaluation.picture import write_picture
from kiosk.evaluation.tiles import BOTH_COLOUR, PREDICTED_COLOUR, TRUTH_COLOUR, mistake_tile
from kiosk.imaging.charts import PALETTE, Axis, Series, chart, count_axis, shortened, style
from kiosk.settings import LimitSettings


def square(shape: tuple[int, int], top: int, left: int, side: int = 8) -> np.ndarray:
    labels = np.zeros(shape, np.uint16)
    labels[top : top + side, left : left + side] = 7
    return labels


def write_pairs(folder: Path, **pairs: tuple[np.ndarray, np.ndarray]) -> tuple[Path, Path]:
    predicted, truth = folder / "predicted", folder / "truth"
    for place in (predicted, truth, folder / "images"):
        place.mkdir()
    for name, (expected, found) in pairs.items():
        tifffile.imwrite(truth / f"{name}.tif", expected, photometric="minisblack")
        tifffile.imwrite(predicted / f"{name}_labels.tif", found, photometric="minisblack")
    return predicted, truth


def colours(picture: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in np.unique(picture.reshape(-1, 3), axis=0).tolist()}


def test_outlines_where_they_differ_and_where_they_agree() -> None:
    truth = square((32, 32), 2, 2) + square((32, 32), 20, 20)
    found = square((32, 32), 2, 2) + square((32, 32), 20, 2) * 2
    truth[20:, 20:] *= 3
    tile, part = mistake_tile(truth, found, None, 64)
    assert part == (0, 0, 32, 32)
    assert tile.shape == (64, 64, 3)
    assert tuple(tile[4, 4]) == BOTH_COLOUR
    assert tuple(tile[40, 40]) == TRUTH_COLOUR
    assert tuple(tile[40, 4]) == PREDICTED_COLOUR
    # What is not matched is filled, what is matched shows the image (here black).
    assert tuple(tile[8, 8]) == (0, 0, 0)
    assert tile[46, 46].any()
    assert tile[46, 10].any()


def test_the_part_with_the_mistakes_of_a_large_plane() -> None:
    truth = square((400, 300), 330, 220)
    tile, (top, left, height, width) = mistake_tile(truth, truth * 0, None, 50)
    assert (height, width) == (100, 100)
    assert top <= 330 <= top + 92
    assert left <= 220 <= left + 92
    assert TRUTH_COLOUR in colours(tile)


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (100, 5)])
def test_planes_of_any_shape_fill_the_tile(shape: tuple[int, int]) -> None:
    image = np.full((1, *shape), 9, np.uint8)
    tile, _ = mistake_tile(np.ones(shape, np.uint8), np.zeros(shape, np.uint8), image, 30)
    assert tile.shape == (30, 30, 3)


def test_a_curve_is_where_its_values_are() -> None:
    x, y = Axis("x", 0, 1, (0, 1)), Axis("y", 0, 1, (0, 1))
    high = Series("high", (0, 1), (0.9, 0.9), PALETTE[3], "", 4)
    picture = np.asarray(chart(300, 200, "curve", x, y, [high]))
    assert picture.shape == (200, 300, 3)
    rows, _ = np.nonzero((picture == PALETTE[3]).all(axis=2))
    # The plot is 114 px high from row 36 on: 0.9 is a tenth below its top.
    assert abs(np.median(rows) - (36 + 11.4)) < 2


def test_axes_for_counts_have_room_for_their_numbers() -> None:
    for largest in (0, 1, 3, 47, 1000, 70_000):
        axis = count_axis("n", largest)
        assert axis.ticks[0] == 0
        assert len(axis.ticks) >= 2
        assert max(axis.ticks) <= axis.high
        assert 0 <= axis.share(largest) <= 1


def test_eighteen_styles_differ() -> None:
    assert len({style(number) for number in range(18)}) == 18


def test_long_names_keep_both_ends() -> None:
    assert shortened("short", 200, 15) == "short"
    cut = shortened("a" * 50 + "z" * 50, 200, 15)
    assert cut.startswith("a")
    assert cut.endswith("z")
    assert "..." in cut


def evaluated(tmp_path: Path) -> Evaluation:
    """A stack of two planes, right in the first, and an image where nothing is found."""
    one = square((20, 30), 3, 3)
    predicted, truth = write_pairs(
        tmp_path,
        stack=(np.stack([one, one]), np.stack([one, one * 0])),
        empty_gt=(one, one * 0),
    )
    return evaluate(predicted, truth)


def test_the_sheet_is_written(tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path)
    path = tmp_path / "new" / "sheet.png"
    write_picture(path, evaluation, worst=0)
    without = Image.open(path)
    write_picture(path, evaluation, worst=3)
    sheet = Image.open(path)
    assert (without.format, sheet.format) == ("PNG", "PNG")
    assert sheet.width == without.width
    assert sheet.height > without.height + 300
    assert {TRUTH_COLOUR, PREDICTED_COLOUR, BOTH_COLOUR} <= colours(np.asarray(sheet))


def test_the_image_is_below_the_outlines(tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path)
    bright = np.zeros((2, 20, 30), np.uint8)
    bright[1, :, 15:] = 200
    tifffile.imwrite(tmp_path / "images/stack.tif", bright, photometric="minisblack")
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "images/empty.png")
    images = ImageFolder(tmp_path / "images", LimitSettings())
    second = evaluation.planes[2]
    assert (second.pair.name, second.plane) == ("stack", 1)
    pixels = images.plane(second, (20, 30))
    assert pixels is not None
    np.testing.assert_array_equal(pixels[0], bright[1])
    colour = images.plane(evaluation.planes[0], (20, 30))
    assert colour is not None
    assert colour.shape == (3, 20, 30)
    write_picture(tmp_path / "sheet.png", evaluation, worst=3, images=images)


def test_channels_are_laid_over_each_other(tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path)
    channels = np.zeros((2, 20, 30), np.uint16)
    channels[0, 0, 5:10] = 50
    channels[1, 5, 5:10] = 5000
    tifffile.imwrite(tmp_path / "images/empty.ome.tif", channels, metadata={"axes": "CYX"})
    (tmp_path / "images/empty.ome.tif").rename(tmp_path / "images/empty.tif")
    images = ImageFolder(tmp_path / "images", LimitSettings())
    pixels = images.plane(evaluation.planes[0], (20, 30))
    assert pixels is not None
    assert (pixels[0, 0, 7], pixels[0, 5, 7], pixels[0, 10, 7]) == (255, 255, 0)


def test_images_that_are_missing_or_do_not_fit(tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path)
    with pytest.raises(InvalidRequest, match="does not exist"):
        ImageFolder(tmp_path / "no", LimitSettings())
    with pytest.raises(InvalidRequest, match="no TIFF, PNG or JPEG"):
        ImageFolder(tmp_path / "images", LimitSettings())
    tifffile.imwrite(tmp_path / "images/stack.tif", np.zeros((20, 30), np.uint8))
    images = ImageFolder(tmp_path / "images", LimitSettings())
    assert images.plane(evaluation.planes[0], (20, 30)) is None
    with pytest.raises(InvalidRequest, match="has 1 planes of 30 x 20 pixels and does not fit"):
        images.plane(evaluation.planes[2], (20, 30))


def test_images_of_other_planes_are_refused(tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path)
    other = tmp_path / "images/other.tif"
    tifffile.imwrite(other, np.zeros((20, 30), np.uint8))
    folder, single = (ImageFolder(p, LimitSettings()) for p in (other.parent, other))
    with pytest.raises(InvalidRequest, match=r"No image in .* for example 'empty_gt\.tif'"):
        write_picture(tmp_path / "sheet.png", evaluation, images=folder)
    with pytest.raises(InvalidRequest, match="is one image and there are several"):
        write_picture(tmp_path / "sheet.png", evaluation, images=single)


def test_one_image_for_one_truth_file_may_have_any_name(tmp_path: Path) -> None:
    one = square((20, 30), 3, 3)
    predicted, truth = write_pairs(tmp_path, one=(one, one))
    tifffile.imwrite(tmp_path / "images/other.tif", np.zeros((20, 30), np.uint8))
    images = ImageFolder(tmp_path / "images/other.tif", LimitSettings())
    result = evaluate(predicted / "one_labels.tif", truth / "one.tif")
    assert images.plane(result.planes[0], (20, 30)) is not None
    write_picture(tmp_path / "sheet.png", result, images=images)


def test_groups_have_curves_of_their_own(tmp_path: Path) -> None:
    one = square((20, 30), 3, 3)
    names = [f"n{number:02}" for number in range(MOST_GROUPS + 2)]
    predicted, truth = write_pairs(tmp_path, **dict.fromkeys(names, (one, one)))
    groups = Groups("kind", {name: f"group {name}" for name in names})
    rows = chart_rows(evaluate(predicted, truth, groups=groups))
    assert len(rows) == 2
    drawn = colours(np.asarray(rows[0])) | colours(np.asarray(rows[1]))
    assert set(PALETTE) <= drawn


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match="cannot be written"):
        write_picture(tmp_path / "file" / "sheet.png", evaluation)
