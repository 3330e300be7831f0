"""OME-Zarr images that are read: axes, levels, layouts, codecs, metadata."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
from image_makers import everything, pixels
from zarr import codecs
from zarr_makers import (
    in_order,
    multiscale,
    open_folder,
    open_zip,
    reader,
    write_group,
    write_image,
    zipped,
)

from kiosk.ports import ImageSource

AXES = ["yx", "cyx", "zyx", "tyx", "tcyx", "tzyx", "czyx", "tczyx"]


def shape_for(axes: str) -> tuple[int, ...]:
    return tuple({"t": 2, "c": 3, "z": 4, "y": 37, "x": 41}[a] for a in axes)


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_every_order_of_axes(tmp_path: Path, axes: str, zarr_format: int) -> None:
    data = pixels(*shape_for(axes))
    write_image(tmp_path, data, axes, zarr_format=zarr_format)
    for source in (open_folder(tmp_path), open_zip(zipped(tmp_path))):
        assert source.format == "OME-Zarr"
        assert source.axes == axes.upper()
        assert dict(source.sizes) == dict.fromkeys("tczyx", 1) | dict(
            zip(axes, data.shape, strict=True)
        )
        np.testing.assert_array_equal(everything(source), in_order(data, axes))
        assert source.pixel_size_um == (0.5, 0.25)
        assert source.z_step_um == (2.0 if "z" in axes else None)
        assert source.frame_interval_s == (60.0 if "t" in axes else None)
        assert list(source.notes) == []
        source.close()


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", ">u2", "<u2", "i4", "u8", "f2", ">f4", "f8"])
def test_kinds_of_numbers(tmp_path: Path, dtype: str) -> None:
    data = pixels(20, 30, dtype=np.dtype(dtype).newbyteorder("=")).astype(dtype)
    write_image(tmp_path, data, "yx", zarr_format=2)
    plane = open_folder(tmp_path).plane(0, 0, [0])
    assert plane.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(plane[0], data)


@pytest.mark.parametrize(
    "compressor",
    [
        None,
        numcodecs.Zlib(),
        numcodecs.GZip(),
        numcodecs.BZ2(),
        numcodecs.LZMA(),
        numcodecs.LZ4(),
        numcodecs.Zstd(),
        *(numcodecs.Blosc(cname, shuffle=i % 3) for i, cname in enumerate(("lz4", "zstd", "zlib"))),
    ],
    ids=repr,
)
def test_compressors_of_format_2(tmp_path: Path, compressor: Any) -> None:
    data = pixels(40, 50)
    filters = [numcodecs.Delta("<u2")] if compressor is None else None
    write_image(tmp_path, data, "yx", zarr_format=2, compressors=compressor, filters=filters)
    np.testing.assert_array_equal(open_folder(tmp_path).plane(0, 0, [0])[0], data)


@pytest.mark.parametrize(
    "compressor",
    [codecs.ZstdCodec(), codecs.GzipCodec(), codecs.BloscCodec(), codecs.Crc32cCodec()],
)
@pytest.mark.parametrize("shards", [None, (32, 32)])
def test_compressors_of_format_3(tmp_path: Path, compressor: Any, shards: Any) -> None:
    data = pixels(50, 70)
    options = {} if shards is None else {"shards": shards}
    write_image(tmp_path, data, "yx", compressors=compressor, chunks=(16, 16), **options)
    for source in (open_folder(tmp_path), open_zip(zipped(tmp_path))):
        np.testing.assert_array_equal(source.plane(0, 0, [0])[0], data)
        window = (slice(5, 20), slice(40, 43))
        np.testing.assert_array_equal(source.plane(0, 0, [0], window)[0], data[window])


def test_a_transposed_array(tmp_path: Path) -> None:
    data = pixels(3, 30, 40)
    write_image(tmp_path, data, "cyx", filters=codecs.TransposeCodec(order=(2, 0, 1)))
    np.testing.assert_array_equal(everything(open_folder(tmp_path))[0, 0], data)


def test_levels_are_read(tmp_path: Path) -> None:
    arrays = write_image(tmp_path, pixels(2, 65, 91), "cyx", levels=3)
    source = open_folder(tmp_path)
    assert list(source.levels) == [(65, 91), (33, 46), (17, 23)]
    for level, data in enumerate(arrays):
        np.testing.assert_array_equal(source.plane(0, 0, [1], level=level)[0], data[1])


def test_levels_that_do_not_fit_are_left_out(tmp_path: Path) -> None:
    write_image(tmp_path, pixels(64, 64), "yx")
    for path, shape in (("1", (32, 16)), ("2", (128, 128)), ("3", (64, 64)), ("4", (16, 16))):
        write_image(tmp_path / "made" / path, pixels(*shape), "yx")
        (tmp_path / "made" / path / "0").rename(tmp_path / path)
    paths = ["0", "1", "2", "3", "4", "missing"]
    write_group(tmp_path, {"multiscales": [multiscale("yx", paths)]}, 3)
    assert list(open_folder(tmp_path).levels) == [(64, 64), (16, 16)]


def test_a_window_touches_only_its_chunks(tmp_path: Path) -> None:
    data = pixels(64, 64)
    write_image(tmp_path, data, "yx", chunks=(16, 16))
    for path in (tmp_path / "0" / "c").rglob("*"):
        if path.is_file() and path.relative_to(tmp_path).as_posix() != "0/c/1/2":
            path.write_bytes(b"broken")
    window = (slice(17, 31), slice(32, 48))
    np.testing.assert_array_equal(open_folder(tmp_path).plane(0, 0, [0], window)[0], data[window])


def test_missing_chunks_have_the_fill_value(tmp_path: Path) -> None:
    write_image(tmp_path, pixels(32, 32), "yx", chunks=(16, 16), fill_value=7)
    (tmp_path / "0" / "c" / "0" / "1").unlink()
    plane = open_folder(tmp_path).plane(0, 0, [0])[0]
    assert (plane[:16, 16:] == 7).all()


def test_chunks_that_hold_several_channels_and_planes(tmp_path: Path) -> None:
    data = pixels(2, 5, 3, 20, 20)
    write_image(tmp_path, data, "tczyx", chunks=(2, 3, 2, 8, 20))
    source = open_folder(tmp_path)
    np.testing.assert_array_equal(everything(source), in_order(data, "tczyx"))
    np.testing.assert_array_equal(source.plane(1, 2, [4, 0, 0])[1], data[1, 0, 2])


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("top", ["", "cells.ome.zarr"])
def test_zips_of_a_folder(tmp_path: Path, compression: int, top: str) -> None:
    data = pixels(3, 33, 44)
    write_image(tmp_path, data, "cyx", chunks=(1, 16, 16), shards=(1, 48, 48))
    source = open_zip(zipped(tmp_path, top, compression))
    np.testing.assert_array_equal(everything(source)[0, 0], data)
    (entry,) = reader().entries(io.BytesIO(zipped(tmp_path, top)), "cells.zip")
    assert (entry.member, entry.series) == ("", 0)


def test_channel_names(tmp_path: Path) -> None:
    omero = {"channels": [{"label": "DAPI"}, {}, {"label": " GFP "}]}
    write_image(tmp_path, pixels(3, 8, 8), "cyx", ome={"omero": omero})
    assert open_folder(tmp_path).channel_names == ("DAPI", "channel 1", "GFP")


def test_red_green_blue(tmp_path: Path) -> None:
    omero = {"channels": [{"label": name} for name in ("Red", "Green", "Blue")]}
    write_image(tmp_path, pixels(3, 8, 8, dtype="u1"), "cyx", ome={"omero": omero})
    assert open_folder(tmp_path).is_rgb


def sized(folder: Path, unit: str | None, scale: float, common: float = 1) -> ImageSource:
    write_image(folder, pixels(8, 9), "yx")
    metadata = multiscale("yx")
    for axis in metadata["axes"]:
        del axis["unit"]
        axis.update({"unit": unit} if unit else {})
    metadata["datasets"][0]["coordinateTransformations"][0]["scale"] = [scale, scale]
    transformations = [{"type": "identity"}, {"type": "scale", "scale": [common, common]}]
    metadata["coordinateTransformations"] = transformations
    write_group(folder, {"multiscales": [metadata]}, 3)
    return open_folder(folder)


@pytest.mark.parametrize(
    ("unit", "scale", "common", "expected"),
    [
        ("micrometer", 0.325, 1, 0.325),
        ("nanometer", 325.0, 2, 0.65),
        ("Millimetres", 0.001, 1, 1.0),
        ("μm", 0.5, 0.5, 0.25),
        ("parsec", 0.5, 1, None),
        (None, 0.5, 1, None),
        ("micrometer", 0.0, 1, None),
        ("meter", 5.0, 1, None),
    ],
)
def test_units(tmp_path: Path, unit: Any, scale: float, common: float, expected: Any) -> None:
    source = sized(tmp_path, unit, scale, common)
    if expected is None:
        assert source.pixel_size_um is None
    else:
        assert source.pixel_size_um == pytest.approx((expected, expected))
    assert bool(source.notes) == (unit is None)


def test_a_series_of_images(tmp_path: Path) -> None:
    datas = [pixels(10 + i, 12) for i in range(3)]
    write_group(tmp_path, {"bioformats2raw.layout": 3}, 2)
    for number, data in enumerate(datas):
        write_image(tmp_path / str(number), data, "yx", zarr_format=2)
    entries = reader().entries(f"file://{tmp_path}", "image.zarr")
    assert [(e.series, e.title) for e in entries] == [(0, "0"), (1, "1"), (2, "2")]
    for number, data in enumerate(datas):
        source = open_folder(tmp_path, series=number)
        np.testing.assert_array_equal(source.plane(0, 0, [0])[0], data)
        assert f"number {number}" in source.notes[0]


def test_a_listed_series(tmp_path: Path) -> None:
    write_group(tmp_path, {"bioformats2raw.layout": 3}, 3)
    write_group(tmp_path / "OME", {"series": ["b", "a"]}, 3)
    for name in "ab":
        write_image(tmp_path / name, pixels(8, 8), "yx")
    assert [e.title for e in reader().entries(f"file://{tmp_path}", "image.zarr")] == ["b", "a"]


def test_a_plate(tmp_path: Path) -> None:
    wells = ["A/1", "B/12"]
    write_group(tmp_path, {"plate": {"wells": [{"path": path} for path in wells]}}, 2)
    datas = {}
    for well in wells:
        images = [{"path": "0"}, {"path": "1"}]
        write_group(tmp_path / well, {"well": {"images": images}}, 2)
        for field in "01":
            datas[f"{well}/{field}"] = pixels(8, 9)
            write_image(tmp_path / well / field, datas[f"{well}/{field}"], "yx", zarr_format=2)
            write_group(tmp_path / well / field / "labels", {"labels": ["nuclei"]}, 2)
    data = zipped(tmp_path, "plate.zarr")
    entries = reader().entries(io.BytesIO(data), "plate.zip")
    assert [entry.title for entry in entries] == list(datas)
    for entry in entries:
        plane = open_folder(tmp_path, series=entry.series).plane(0, 0, [0])[0]
        np.testing.assert_array_equal(plane, datas[entry.title])
    assert [e.title for e in reader().entries(f"file://{tmp_path}/A/1", "image.zarr")] == ["0", "1"]


def test_a_collection_with_images_and_labels(tmp_path: Path) -> None:
    write_group(tmp_path, {"spatialdata_attrs": {}}, 3)
    write_image(tmp_path / "images" / "blobs", pixels(8, 8), "yx")
    write_image(tmp_path / "labels" / "cells", pixels(8, 8), "yx")
    entries = reader().entries(f"file://{tmp_path}", "image.zarr")
    assert [entry.title for entry in entries] == ["images/blobs"]
    assert open_zip(zipped(tmp_path)).sizes["y"] == 8


def test_wrong_consolidated_metadata_are_not_used(tmp_path: Path) -> None:
    data = pixels(12, 13)
    write_image(tmp_path, data, "yx", zarr_format=2)
    lies = {"zarr_consolidated_format": 1, "metadata": {"0/.zarray": {"shape": [9, 9]}}}
    (tmp_path / ".zmetadata").write_text(json.dumps(lies))
    np.testing.assert_array_equal(open_folder(tmp_path).plane(0, 0, [0])[0], data)


def test_many_threads_read_one_source(tmp_path: Path) -> None:
    data = pixels(8, 100, 100)
    write_image(tmp_path, data, "tyx")
    source = open_zip(zipped(tmp_path))
    start = threading.Barrier(4)

    def read(t: int) -> np.ndarray:
        if t < 4:
            start.wait(10)
        return source.plane(t, 0, [0])[0]

    with ThreadPoolExecutor(4) as pool:
        for t, plane in enumerate(pool.map(read, range(8))):
            np.testing.assert_array_equal(plane, data[t])
