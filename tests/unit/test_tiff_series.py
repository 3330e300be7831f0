"""Files with several images, and the metadata of the one that is read."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from image_makers import asked, everything, opened, pixels, tiff

from kiosk.adapters.image_files import ImageFileReader
from kiosk.errors import InvalidRequest
from kiosk.ports import ImageEntry
from kiosk.settings import LimitSettings


def several(*images: np.ndarray, metadata: list[dict[str, Any]] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, ome=metadata is not None) as tif:
        for index, image in enumerate(images):
            more = metadata[index] if metadata else None
            tif.write(image, photometric="minisblack", metadata=more)
    return buffer.getvalue()


def entries(data: bytes) -> list[ImageEntry]:
    return ImageFileReader(LimitSettings()).entries(io.BytesIO(data), "cells.tif")


def two_positions() -> tuple[bytes, np.ndarray, np.ndarray]:
    first, second = pixels(20, 30), pixels(2, 3, 12, 14, dtype="u1")
    data = several(
        first,
        second,
        metadata=[
            {"axes": "YX", "Name": "position 1", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5},
            {
                "axes": "ZCYX",
                "Name": "position 2",
                "PhysicalSizeX": 0.25,
                "PhysicalSizeY": 0.25,
                "PhysicalSizeZ": 1.5,
                "Channel": {"Name": ["DAPI", "GFP", "Cy5"]},
            },
        ],
    )
    return data, first, second


def test_any_series_can_be_chosen_and_brings_its_own_metadata() -> None:
    data, first, second = two_positions()
    source = opened(data)
    np.testing.assert_array_equal(source.plane(0, 0, [0])[0], first)
    assert source.pixel_size_um == (0.5, 0.5)
    assert source.z_step_um is None
    (note,) = source.notes
    assert "2 images" in note
    assert "series 0 to 1" in note
    source = asked(data, series=1)
    np.testing.assert_array_equal(everything(source)[0], second)
    assert source.channel_names == ("DAPI", "GFP", "Cy5")
    assert source.pixel_size_um == (0.25, 0.25)
    assert source.z_step_um == 1.5
    assert not source.notes


def test_the_metadata_of_ome_images_without_data_are_passed_over() -> None:
    data, _, _ = two_positions()
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        xml = tif.ome_metadata
    assert xml is not None
    ghost = '<Image ID="Image:9" Name="ghost"><Pixels DimensionOrder="XYZCT" SizeX="3" SizeY="3"'
    ghost += ' SizeZ="1" SizeC="1" SizeT="1" Type="uint8" ID="Pixels:9" PhysicalSizeX="9"/></Image>'
    at = xml.index("<Image ")
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as tif:
        tif.write(pixels(20, 30), description=xml[:at] + ghost + xml[at:], metadata=None)
        for _ in range(6):
            tif.write(pixels(12, 14, dtype="u1"), metadata=None)
    assert asked(buffer.getvalue(), series=1).pixel_size_um == (0.25, 0.25)


def test_entries_list_the_series_with_their_names() -> None:
    data, _, _ = two_positions()
    assert entries(data) == [
        ImageEntry(series=0, title="position 1"),
        ImageEntry(series=1, title="position 2"),
    ]
    assert entries(tiff(pixels(8, 9))) == [ImageEntry()]


def test_entries_of_what_is_no_image_are_refused() -> None:
    for data in (b"", b"hello", b"II*\0"):
        with pytest.raises(InvalidRequest):
            entries(data)


def test_series_of_differing_sizes_in_a_plain_tiff() -> None:
    images = [pixels(8, 9), pixels(10, 12), pixels(20, 33)]
    data = several(*images)
    assert len(entries(data)) == 3
    for number, image in enumerate(images):
        np.testing.assert_array_equal(asked(data, series=number).plane(0, 0, [0])[0], image)


def test_a_series_that_is_not_there_is_refused_with_the_count() -> None:
    data, _, _ = two_positions()
    png = b"\x89PNG\r\n\x1a\n" + bytes(40)
    for content, word in ((data, "2 images"), (tiff(pixels(8, 9)), "one image"), (png, "one")):
        with pytest.raises(InvalidRequest) as caught:
            asked(content, series=7)
        assert caught.value.reason == "SERIES_NOT_FOUND"
        assert caught.value.field == "series"
        assert word in caught.value.message


def test_formats_have_names() -> None:
    data = pixels(3, 8, 9)
    options = {"photometric": "minisblack"}
    assert opened(tiff(data, ome=True, **options)).format == "OME-TIFF"
    assert opened(tiff(data, imagej=True, **options)).format == "ImageJ TIFF"
    assert opened(tiff(data, bigtiff=True, **options)).format == "BigTIFF"
    assert opened(tiff(data, **options)).format == "TIFF"


def test_axes_are_told_as_they_lie_in_the_file() -> None:
    options = {"photometric": "minisblack"}
    assert opened(tiff(pixels(3, 8, 9), metadata=None, **options)).axes == "TYX"
    data = pixels(2, 3, 4, 8, 9)
    assert opened(tiff(data, ome=True, metadata={"axes": "CZTYX"}, **options)).axes == "CZTYX"
    assert opened(tiff(pixels(8, 9, 3, dtype="u1"), photometric="rgb")).axes == "YXS"


def test_arrays_without_named_axes_are_time_depth_and_channels() -> None:
    """tifffile calls each of their axes Q."""
    data = pixels(2, 3, 4, 8, 9)
    options: dict[str, Any] = {"photometric": "minisblack", "compression": "zlib"}
    source = opened(tiff(data, **options))
    assert dict(source.sizes) == {"t": 2, "z": 3, "c": 4, "y": 8, "x": 9}
    assert [note.rsplit(" ", 2)[-1] for note in source.notes] == ["points.", "(z).", "channels."]
    np.testing.assert_array_equal(everything(source), data)
    np.testing.assert_array_equal(everything(opened(tiff(data[0], **options)))[:, :, 0], data[0])


# ---------------------------------------------------------------- ImageJ


def imagej(**metadata: Any) -> bytes:
    return tiff(
        pixels(2, 3, 8, 9),
        imagej=True,
        photometric="minisblack",
        resolution=(4, 2),
        metadata={"axes": "TZYX", **metadata},
    )


@pytest.mark.parametrize(
    ("metadata", "step_um"),
    [
        ({"unit": "um", "spacing": 2.0}, 2.0),
        ({"unit": "um", "spacing": -2.0}, 2.0),
        ({"unit": "nm", "spacing": 300}, 0.3),
        ({"unit": "um", "zunit": "nm", "spacing": 300}, 0.3),
        ({"unit": "\\u03BCm", "spacing": 2.0}, 2.0),
        ({"unit": "pixel", "spacing": 2.0}, None),
        ({"spacing": 2.0}, None),
        ({"unit": "um", "spacing": 0.0}, None),
        ({"unit": "um"}, None),
    ],
)
def test_z_step_of_imagej(metadata: dict[str, Any], step_um: float | None) -> None:
    source = opened(imagej(**metadata))
    assert source.z_step_um == (step_um and pytest.approx(step_um))
    assert not source.notes


def test_units_of_imagej() -> None:
    assert opened(imagej(unit="um")).pixel_size_um == (0.5, 0.25)
    assert opened(imagej(unit="um", yunit="nm")).pixel_size_um == pytest.approx((0.0005, 0.25))
    assert opened(imagej(unit="('um',)")).pixel_size_um == (0.5, 0.25)
    source = opened(imagej(unit="furlong"))
    assert source.pixel_size_um is None
    assert "'furlong', which is no known unit" in source.notes[0]
    source = opened(imagej(unit="m"))
    assert source.pixel_size_um is None
    assert "cannot be" in source.notes[0]


def test_time_units_of_imagej() -> None:
    assert opened(imagej(finterval=2.0)).frame_interval_s == 2.0
    assert opened(imagej(finterval=2.0, tunit="min")).frame_interval_s == 120.0
