"""The label image, read back by tifffile."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from result_makers import discs, result_image, stack, write

from kiosk.exports import label_tiff
from kiosk.exports.label_tiff import LabelTiff
from kiosk.exports.writer import ResultImage
from kiosk.testing import MemoryPlane

NAMESPACE = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


def pixels_element(path: Path) -> ElementTree.Element:
    with tifffile.TiffFile(path) as tif:
        root = ElementTree.fromstring(tif.ome_metadata or "")
    found = root.find(f"{NAMESPACE}Image/{NAMESPACE}Pixels")
    assert found is not None
    return found


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_tiff, "LARGE_PX", 90)
    monkeypatch.setattr(label_tiff, "SMALLEST_PX", 40)
    monkeypatch.setattr(label_tiff, "TILE_PX", 32)


@pytest.mark.parametrize(
    ("t", "z", "axes"), [(1, 1, "YX"), (3, 1, "TYX"), (1, 4, "ZYX"), (2, 3, "TZYX")]
)
@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_axes_and_labels_of_small_planes(
    tmp_path: Path, t: int, z: int, axes: str, dtype: type
) -> None:
    planes = stack(discs(60, 50), t=t, z=z)
    image = result_image(planes, label_dtype=np.dtype(dtype))
    path = write(LabelTiff, tmp_path / "a b_labels.tif", planes, image)
    with tifffile.TiffFile(path) as tif:
        assert len(tif.series) == 1
        series = tif.series[0]
        assert (series.kind, series.axes, series.dtype) == ("ome", axes, dtype)
        found = series.asarray().reshape(t, z, 60, 50)
        assert not tif.is_bigtiff
        assert len(tif.pages) == t * z
        assert not tif.pages.first.is_tiled
    for plane in planes:
        np.testing.assert_array_equal(found[plane.t, plane.z], plane.labels())


def test_sizes_and_names(tmp_path: Path) -> None:
    planes = stack(discs(40, 30), t=2, z=2, channels=2)
    image = result_image(
        planes,
        pixel_size_um=(0.5, 0.25),
        z_step_um=2.0,
        frame_interval_s=30.0,
        channel_names=("<DAPI> & \x00µ{0}", "GFP"),
        channels=(0, 1),
    )
    path = write(LabelTiff, tmp_path / "x.tif", planes, image)
    pixels = pixels_element(path)
    expected = {
        "SizeT": "2", "SizeZ": "2", "SizeC": "1", "SizeY": "40", "SizeX": "30", "Type": "uint16",
        "PhysicalSizeX": "0.25", "PhysicalSizeY": "0.5", "PhysicalSizeZ": "2.0",
        "PhysicalSizeXUnit": "µm", "TimeIncrement": "30.0", "TimeIncrementUnit": "s",
    }  # fmt: skip
    assert {name: pixels.get(name) for name in expected} == expected
    channel = pixels.find(f"{NAMESPACE}Channel")
    assert channel is not None
    assert channel.get("Name") == "labels of <DAPI> & µ{0}, GFP"
    data = pixels.find(f"{NAMESPACE}TiffData")
    assert data is not None
    assert data.get("PlaneCount") == "4"


@pytest.mark.parametrize(("t", "z"), [(1, 1), (2, 3)])
def test_the_description_is_the_one_that_tifffile_writes(tmp_path: Path, t: int, z: int) -> None:
    planes = stack(discs(40, 30), t=t, z=z)
    image = result_image(planes, pixel_size_um=(0.5, 0.5))
    ours = write(LabelTiff, tmp_path / "ours.tif", planes, image)
    axes = ("T" if t > 1 else "") + ("Z" if z > 1 else "") + "YX"
    metadata: dict[str, Any] = {"axes": axes, "Name": "labels", "PhysicalSizeX": 0.5}
    metadata |= {"PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"}
    metadata |= {"Channel": {"Name": "labels of channel 0"}}
    metadata |= {"Creator": "kiosk"}
    shape = (*tuple(n for n in (t, z) if n > 1), 40, 30)
    with tifffile.TiffWriter(tmp_path / "theirs.tif", ome=True) as tif:
        tif.write(np.zeros(shape, np.uint16), photometric="minisblack", metadata=metadata)
    texts = []
    for path in (ours, tmp_path / "theirs.tif"):
        with tifffile.TiffFile(path) as tif:
            texts.append(re.sub(r'UUID="[^"]*"', "", tif.ome_metadata or ""))
    assert texts[0] == texts[1]


@pytest.mark.usefixtures("small_is_large")
@pytest.mark.parametrize(("t", "z"), [(1, 1), (2, 2)])
def test_every_plane_of_a_large_image_has_all_resolutions(tmp_path: Path, t: int, z: int) -> None:
    planes = stack(discs(101, 140), t=t, z=z)
    path = write(LabelTiff, tmp_path / "x.tif", planes, result_image(planes))
    with tifffile.TiffFile(path) as tif:
        assert len(tif.series) == 1
        series = tif.series[0]
        assert tif.pages.first.is_tiled
        assert [level.shape[-2:] for level in series.levels] == [(101, 140), (51, 70), (26, 35)]
        for number, level in enumerate(series.levels):
            assert level.axes == series.axes
            found = level.asarray().reshape(t, z, *level.shape[-2:])
            for plane in planes:
                thinned = plane.labels()[:: 2**number, :: 2**number]
                np.testing.assert_array_equal(found[plane.t, plane.z], thinned)


@pytest.mark.usefixtures("small_is_large")
@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (17, 200), (200, 9)])
def test_tiles_are_small_along_a_short_side(tmp_path: Path, shape: tuple[int, int]) -> None:
    """A row of ten million pixels in square tiles would be 500 times as much to pack."""
    labels = np.arange(1, 301, dtype=np.uint32)[: max(shape)]
    labels = np.broadcast_to(labels.reshape([-1 if n == max(shape) else 1 for n in shape]), shape)
    plane = MemoryPlane(np.ascontiguousarray(labels))
    path = write(LabelTiff, tmp_path / "x.tif", [plane], result_image([plane]))
    with tifffile.TiffFile(path) as tif:
        first = tif.pages.first
        assert min(first.tilelength, first.tilewidth) - min(shape) < 16
        for number, level in enumerate(tif.series[0].levels):
            step = 2**number
            np.testing.assert_array_equal(level.asarray(), labels[::step, ::step])


@pytest.mark.usefixtures("small_is_large")
def test_each_row_of_a_large_plane_is_read_once(tmp_path: Path) -> None:
    plane = MemoryPlane(discs(150, 120))
    writer = LabelTiff(tmp_path / "x.tif", result_image([plane]))
    writer.add_plane(plane)
    writer.close()
    assert plane.rows_read == 150
    assert [item.name for item in tmp_path.iterdir()] == ["x.tif"]


@pytest.mark.parametrize(("side", "big"), [(30_000, False), (50_000, True)])
def test_the_newer_layout_where_the_old_one_could_end(tmp_path: Path, side: int, big: bool) -> None:
    image = result_image([MemoryPlane(np.zeros((9, 9), np.uint32))])
    image = ResultImage(
        **{**vars(image), "sizes": dict.fromkeys("tcz", 1) | {"y": side, "x": side}}
    )
    writer = LabelTiff(tmp_path / "x.tif", image)
    writer.discard()
    assert (tmp_path / "x.tif").read_bytes()[2] == (43 if big else 42)


def test_more_labels_than_16_bits_hold(tmp_path: Path) -> None:
    labels = np.arange(300 * 300, dtype=np.uint32).reshape(300, 300)
    plane = MemoryPlane(labels)
    image = result_image([plane], label_dtype=np.dtype(np.uint32))
    writer = LabelTiff(tmp_path / "x.tif", image)
    writer.add_plane(plane)
    writer.close()
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "x.tif"), labels)


@pytest.mark.parametrize("shape", [(130, 150), (301, 97), (64, 640)])
@pytest.mark.parametrize(
    "window", [(0, 33, 0, 20), (17, 60, 31, 90), (32, 64, 64, 96), (63, 64, 9, 97)]
)
@pytest.mark.usefixtures("small_is_large")
def test_labels_in_a_small_window_give_the_same_image(
    tmp_path: Path, shape: tuple[int, int], window: tuple[int, int, int, int]
) -> None:
    """At every resolution."""
    top, bottom, left, right = window
    random = np.random.default_rng(3)
    labels = np.zeros(shape, np.uint32)
    labels[top:bottom, left:right] = random.integers(0, 9, labels[top:bottom, left:right].shape)
    planes = stack(labels)
    touched = (slice(top, min(bottom, shape[0])), slice(left, min(right, shape[1])))
    found = {}
    for name, known in (("whole", None), ("few", touched)):
        image = result_image(planes, touched=known)
        path = write(LabelTiff, tmp_path / f"{name}.tif", planes, image)
        with tifffile.TiffFile(path) as tif:
            assert tif.series[0].is_pyramidal
            found[name] = [level.asarray() for level in tif.series[0].levels]
    assert len(found["few"]) == len(found["whole"]) > 1
    for few, whole in zip(found["few"], found["whole"], strict=True):
        np.testing.assert_array_equal(few, whole)
