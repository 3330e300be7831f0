"""The table of result formats, and what all writers have in common."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from result_makers import discs, result_image, rows_of, stack, write

import kiosk.exports
from kiosk.errors import InvalidRequest
from kiosk.exports import FORMATS, chosen_formats, kind_of
from kiosk.exports.writer import ResultImage
from kiosk.testing import MemoryPlane

ROOT = Path(__file__).resolve().parents[2]
EACH = pytest.mark.parametrize("name", FORMATS)


def test_a_small_set_unless_asked_otherwise() -> None:
    assert list(chosen_formats(())) == ["labels", "table", "overlay"]
    assert list(chosen_formats(("qc", "labels"))) == ["labels", "qc"]


def test_a_format_that_does_not_exist() -> None:
    with pytest.raises(InvalidRequest, match=r"'xml'.*labels, table") as error:
        chosen_formats(("labels", "xml"))
    assert error.value.reason == "UNKNOWN_FORMAT"


def test_a_format_that_needs_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kiosk.exports, "find_spec", lambda name: None)
    with pytest.raises(InvalidRequest, match=r"pip install 'cell-kiosk\[anndata\]'") as error:
        chosen_formats(("labels", "h5ad"))
    assert error.value.reason == "FORMAT_NOT_INSTALLED"
    assert list(chosen_formats(("labels",))) == ["labels"]


def test_packages_are_extras() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for item in FORMATS.values():
        assert not item.package or re.search(rf"^{item.package} = \[", text, re.M)


def test_endings_tell_formats_apart() -> None:
    for item in FORMATS.values():
        assert item.ending.startswith("_")
        assert kind_of(f"some cells{item.ending}") == (
            item.media_type,
            item.description,
            item.opens_with,
        )
    assert kind_of("cells_run.json")[0] == "application/json"
    assert kind_of("cells.txt") == ("application/octet-stream", "", "")


def test_every_format_is_in_the_reference() -> None:
    text = (ROOT / "docs/reference/results.md").read_text()
    for name, item in FORMATS.items():
        assert f"| `{name}` | `NAME{item.ending}` |" in text


def planes_of(kind: str) -> list[MemoryPlane]:
    if kind == "one":
        return stack(discs(60, 70), channels=2)
    if kind == "stack":
        return stack(discs(40, 50), t=2, z=3, channels=2)
    if kind == "colour":
        pixels = np.random.default_rng(0).integers(0, 256, (3, 50, 60)).astype(np.uint8)
        return [MemoryPlane(discs(50, 60), pixels)]
    if kind == "not numbers":
        return [MemoryPlane(discs(50, 60), np.full((1, 50, 60), np.nan, np.float32))]
    if kind == "single pixels":
        return [MemoryPlane(np.arange(12 * 11, dtype=np.uint32).reshape(12, 11))]
    empty = [MemoryPlane(np.zeros((30, 20), np.uint32), t=t) for t in range(2)]
    return empty if kind == "empty" else [empty[0], MemoryPlane(discs(30, 20), t=1)]


KINDS = ("one", "stack", "colour", "not numbers", "single pixels", "empty", "one empty")


@EACH
@pytest.mark.parametrize("kind", KINDS)
def test_every_writer_takes_everything(tmp_path: Path, name: str, kind: str) -> None:
    planes = planes_of(kind)
    channels = len(planes[0].pixels(range(len(planes[0]._pixels))))
    image = result_image(
        planes,
        stem="my cells, µm 100 %",
        is_rgb=kind == "colour",
        channel_names=("DAPI/488 <µ> {0}", "DAPI/488 <µ> {0}", "\x00")[:channels],
    )
    path = tmp_path / f"{image.stem}{FORMATS[name].ending}"
    assert write(FORMATS[name].writer, path, planes, image).stat().st_size > 0
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@EACH
def test_an_error_lets_go_of_the_file(tmp_path: Path, name: str) -> None:
    planes = stack(discs(40, 50), t=2)
    image = result_image(planes)
    writer = FORMATS[name].writer(tmp_path / "x", image)
    writer.add_plane(planes[0])
    writer.add_rows(rows_of(planes[0], image))
    writer.discard()


@pytest.mark.parametrize("name", ["parquet", "h5ad", "table", "geojson", "rois", "qc"])
def test_volumes(tmp_path: Path, name: str) -> None:
    """Rows come once per time point and have other columns; outlines come for each plane."""
    planes = stack(discs(40, 50), z=3)
    columns = ("t", "label", "z_px", "y_px", "x_px", "volume_px", "touches_border")
    image = result_image(planes, columns=columns, is_volume=True)
    count = planes[0].instances
    rows: dict[str, Any] = {column: np.arange(count) for column in columns}
    only_boxes = ResultImage(**{**vars(image), "columns": ()})
    writer = FORMATS[name].writer(tmp_path / "x", image)
    for plane in planes:
        boxes = rows_of(plane, only_boxes)
        writer.add_instances(plane, boxes)
        writer.add_plane(plane)
    writer.add_rows(rows)
    writer.close()
    assert (tmp_path / "x").stat().st_size > 0
