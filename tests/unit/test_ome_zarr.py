"""OME-Zarr in a zip, read back by zarr, and its metadata against the specification."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from result_makers import discs, result_image, stack, write
from zarr.storage import ZipStore

from kiosk.exports import ome_zarr
from kiosk.exports.ome_zarr import OmeZarr
from kiosk.imaging.pyramids import mean
from kiosk.testing import MemoryPlane

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = CHECKOUT.parent / "shared/data/formats/zarr/generated_tczyx_v05.ome.zarr"
TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ome_zarr, "SMALLEST_PX", 40)
    monkeypatch.setattr(ome_zarr, "CHUNK_PX", 32)


def opened(path: Path) -> zarr.Group:
    assert {item.compress_type for item in zipfile.ZipFile(path).infolist()} == {0}
    return zarr.open_group(ZipStore(path, mode="r"), mode="r")


def ome(group: zarr.Group) -> dict[str, Any]:
    found = group.attrs["ome"]
    assert isinstance(found, dict)
    return found


def assert_multiscale(group: zarr.Group, axes: str) -> dict[str, Any]:
    """What the specification demands of a multiscale image."""
    assert group.metadata.zarr_format == 3
    assert ome(group)["version"] == "0.5"
    (multiscale,) = ome(group)["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == list(axes)
    assert all(axis["type"] == TYPES[axis["name"]] for axis in multiscale["axes"])
    shapes = []
    for dataset in multiscale["datasets"]:
        array = group[dataset["path"]]
        assert isinstance(array, zarr.Array)
        assert array.metadata.dimension_names == tuple(axes)
        (transformation,) = dataset["coordinateTransformations"]
        assert transformation["type"] == "scale"
        assert len(transformation["scale"]) == len(axes) == array.ndim
        shapes.append(array.shape)
    assert shapes == sorted(shapes, reverse=True)
    return dict(multiscale)


@pytest.mark.parametrize(
    ("t", "c", "z", "axes"),
    [(1, 1, 1, "yx"), (3, 1, 1, "tyx"), (1, 2, 1, "cyx"), (1, 1, 2, "zyx"), (2, 3, 2, "tczyx")],
)
def test_pixels_labels_and_their_resolutions(
    tmp_path: Path, t: int, c: int, z: int, axes: str
) -> None:
    planes = stack(discs(101, 90), t=t, z=z, channels=c)
    root = opened(write(OmeZarr, tmp_path / "a b.zip", planes, result_image(planes)))
    labels = root["labels/instances"]
    assert isinstance(labels, zarr.Group)
    image = assert_multiscale(root, axes)
    assert [d["path"] for d in image["datasets"]] == ["0", "1", "2"]
    assert len(assert_multiscale(labels, axes)["datasets"]) == 3
    for level in range(3):
        pixels = np.asarray(root[str(level)]).reshape(t, c, z, *root[str(level)].shape[-2:])
        found = np.asarray(labels[str(level)])
        assert found.dtype == np.uint16
        found = found.reshape(t, 1, z, *found.shape[-2:])
        for plane in planes:
            thinned = plane.labels()[:: 2**level, :: 2**level]
            np.testing.assert_array_equal(found[plane.t, 0, plane.z], thinned)
            for channel in range(c):
                expected = plane.pixels((channel,))[0]
                for _ in range(level):
                    expected = mean(expected)
                np.testing.assert_array_equal(pixels[plane.t, channel, plane.z], expected)


def test_labels_are_found_by_the_metadata(tmp_path: Path) -> None:
    planes = stack(discs(40, 40))
    root = opened(write(OmeZarr, tmp_path / "x", planes, result_image(planes)))
    assert ome(root["labels"]) == {"version": "0.5", "labels": ["instances"]}
    assert ome(root["labels/instances"])["image-label"]["source"] == {"image": "../../"}
    assert root.attrs["kiosk"] == {"model": "nuclei", "model_version": "2"}


def test_sizes_and_units(tmp_path: Path) -> None:
    planes = stack(discs(80, 70), t=2, z=2, channels=2)
    image = result_image(planes, pixel_size_um=(0.5, 0.25), z_step_um=2.0, frame_interval_s=60.0)
    root = opened(write(OmeZarr, tmp_path / "x", planes, image))
    for group in (root, root["labels/instances"]):
        multiscale = assert_multiscale(group, "tczyx")
        units = [axis.get("unit") for axis in multiscale["axes"]]
        assert units == ["second", None, "micrometer", "micrometer", "micrometer"]
        scales = [d["coordinateTransformations"][0]["scale"] for d in multiscale["datasets"]]
        assert scales == [[60, 1, 2, 0.5, 0.25], [60, 1, 2, 1.0, 0.5]]


def test_lengths_that_are_not_known_have_no_unit(tmp_path: Path) -> None:
    planes = stack(discs(80, 70), t=2, z=2)
    root = opened(write(OmeZarr, tmp_path / "x", planes, result_image(planes)))
    multiscale = assert_multiscale(root, "tzyx")
    assert all("unit" not in axis for axis in multiscale["axes"])
    scales = [d["coordinateTransformations"][0]["scale"] for d in multiscale["datasets"]]
    assert scales == [[1, 1, 1, 1], [1, 1, 2, 2]]


def test_channels_and_how_to_show_them(tmp_path: Path) -> None:
    planes = stack(discs(40, 40), channels=2)
    image = result_image(planes, channel_names=("DAPI", 'anti-"Ki67" µ/2'))
    channels = ome(opened(write(OmeZarr, tmp_path / "x", planes, image)))["omero"]["channels"]
    assert [channel["label"] for channel in channels] == ["DAPI", 'anti-"Ki67" µ/2']
    window = channels[0]["window"]
    assert window["min"] == 0
    assert window["max"] == 65_535
    assert 100 <= window["start"] < window["end"] <= 1049


def test_colour_images(tmp_path: Path) -> None:
    labels = discs(50, 50)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 50, 50)).astype(np.uint8)
    plane = MemoryPlane(labels, pixels)
    image = result_image([plane], is_rgb=True, channels=(0, 1, 2))
    root = opened(write(OmeZarr, tmp_path / "x", [plane], image))
    np.testing.assert_array_equal(np.asarray(root["0"]), pixels)
    colours = [channel["color"] for channel in ome(root)["omero"]["channels"]]
    assert colours == ["FF0000", "00FF00", "0000FF"]


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "int16", "uint32", "float16", "float32", "f8"])
def test_any_kind_of_pixel(tmp_path: Path, dtype: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 99, (1, 70, 50)).astype(dtype)
    plane = MemoryPlane(discs(70, 50), pixels)
    found = opened(write(OmeZarr, tmp_path / "x", [plane], result_image([plane])))["0"]
    assert isinstance(found, zarr.Array)
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(np.asarray(found), pixels[0])


def test_pixels_that_are_no_numbers(tmp_path: Path) -> None:
    pixels = np.full((2, 70, 50), np.nan, np.float32)
    pixels[0, :9] = 5
    plane = MemoryPlane(discs(70, 50), pixels)
    path = write(OmeZarr, tmp_path / "x", [plane], result_image([plane]))
    np.testing.assert_array_equal(np.asarray(opened(path)["0"]), pixels)
    text = zipfile.ZipFile(path).read("zarr.json").decode()
    assert "NaN" not in text
    json.loads(text)


def test_many_channels_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ome_zarr, "AT_A_TIME_BYTES", 2 * 32 * 50 * 2)
    planes = stack(discs(60, 50), channels=5)
    root = opened(write(OmeZarr, tmp_path / "x", planes, result_image(planes)))
    np.testing.assert_array_equal(np.asarray(root["0"]), planes[0].pixels(range(5)))


def test_entries_of_the_zip(tmp_path: Path) -> None:
    """Nothing is written twice, and all metadata come first."""
    planes = stack(discs(101, 90), t=2, channels=2)
    path = write(OmeZarr, tmp_path / "x", planes, result_image(planes))
    names = zipfile.ZipFile(path).namelist()
    assert len(names) == len(set(names))
    described = [name.endswith("zarr.json") for name in names]
    assert described == sorted(described, reverse=True)
    assert names[0] == "zarr.json"


def test_no_instances(tmp_path: Path) -> None:
    plane = MemoryPlane(np.zeros((50, 50), np.uint32))
    root = opened(write(OmeZarr, tmp_path / "x", [plane], result_image([plane])))
    assert not np.asarray(root["labels/instances/0"]).any()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of shared formats is not here")
def test_the_same_structure_as_files_of_others(tmp_path: Path) -> None:
    planes = stack(discs(80, 70), t=2, z=2, channels=2)
    image = result_image(planes, pixel_size_um=(0.65, 0.65), z_step_um=2.0, frame_interval_s=600.0)
    ours = opened(write(OmeZarr, tmp_path / "x", planes, image))
    theirs = zarr.open_group(SHARED, mode="r")
    (one,), (other,) = (ome(group)["multiscales"] for group in (ours, theirs))
    assert one["axes"] == other["axes"]
    assert one["datasets"] == other["datasets"]
