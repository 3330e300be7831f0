"""Real OME-Zarr folders and vendors' files: the same pixels as an independent reader's.

The folder is optional. Vendors' files need the extra `formats`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from kiosk.adapters.image_files import ImageFileReader
from kiosk.errors import InvalidRequest
from kiosk.folder_zip import zipped_folder
from kiosk.ports import ImageSource
from kiosk.reading import ReadOptions
from kiosk.settings import LimitSettings

FORMATS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "formats"
FOLDERS = sorted(path for path in (FORMATS / "zarr").glob("*.zarr") if path.is_dir())
READER = ImageFileReader(LimitSettings())

pytestmark = pytest.mark.skipif(not FOLDERS, reason="the folder of shared formats is not here")

# Axes, pixel size (y, x) in µm, z step in µm, frame interval in s.
EXPECTED = {
    "bioformats2raw_data.zarr": ("TCZYX", None, None, None),
    "blobs_image_v04.ome.zarr": ("CYX", None, None, None),
    "blobs_image_v05.ome.zarr": ("CYX", None, None, None),
    "generated_tczyx_v04.ome.zarr": ("TCZYX", (0.65, 0.65), 2.0, 600.0),
    "generated_tczyx_v05.ome.zarr": ("TCZYX", (0.65, 0.65), 2.0, 600.0),
    "ngio_cyx.zarr": ("CYX", (0.5, 0.5), None, None),
    "ngio_czyx.zarr": ("CZYX", (0.5, 0.5), 2.0, None),
    "ngio_tczyx.zarr": ("TCZYX", (0.5, 0.5), 2.0, 4.0),
    "ngio_tyx.zarr": ("TYX", (0.5, 0.5), None, 4.0),
    "nyxus_multi.ome.zarr": ("TCZYX", None, None, None),
    "spatialdata_0.3_multiscale.zarr": ("CYX", None, None, None),
    "spatialdata_0.7_multiscale.zarr": ("CYX", None, None, None),
}


def stored_arrays(folder: Path) -> list[np.ndarray]:
    """The arrays of the first image, largest first, read by zarr alone; labels left out."""
    places = [p.parent for name in (".zarray", "zarr.json") for p in folder.rglob(name)]
    places = [p for p in places if "labels" not in p.parts]
    documents = {p: p / "zarr.json" for p in places if (p / "zarr.json").exists()}
    groups = {p for p, d in documents.items() if json.loads(d.read_text())["node_type"] == "group"}
    arrays = [zarr.open_array(str(p), mode="r")[...] for p in set(places) - groups]
    return sorted(arrays, key=lambda array: -array.size)


def check_pixels(source: ImageSource, arrays: list[np.ndarray]) -> None:
    assert len(source.levels) == len(arrays)
    for level, array in enumerate(arrays):
        missing = [a for a in "TZCYX" if a not in source.axes]
        order = "".join(missing) + source.axes
        whole = array.reshape((1,) * len(missing) + array.shape)
        whole = whole.transpose([order.index(a) for a in "TZCYX"])
        channels = range(source.sizes["c"])
        for t, z in np.ndindex(*whole.shape[:2]):
            np.testing.assert_array_equal(source.plane(t, z, channels, level=level), whole[t, z])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_ome_zarr(folder: Path) -> None:
    arrays = stored_arrays(folder)
    with zipped_folder(folder) as file:
        for source in (
            READER.open(f"file://{folder}", "image.zarr"),
            READER.open(file, folder.name),
        ):
            check_pixels(source, arrays)
            found = (source.pixel_size_um, source.z_step_um, source.frame_interval_s)
            if folder.name in EXPECTED:
                assert (source.axes, *found) == EXPECTED[folder.name]


def test_a_wrong_order_of_axes(tmp_path: Path) -> None:
    metadata = FORMATS / "zarr" / "ngio_wrong_axis_order.json"
    if not metadata.exists():
        pytest.skip("not here")
    (tmp_path / ".zgroup").write_text('{"zarr_format": 2}')
    (tmp_path / ".zattrs").write_text(metadata.read_text())
    zarr.create_array(str(tmp_path / "0"), shape=(2, 2, 8, 8), dtype="u1", zarr_format=2)
    with pytest.raises(InvalidRequest) as caught:
        READER.open(f"file://{tmp_path}", "image.zarr")
    assert "order z, c, y, x" in caught.value.message


def test_the_archive_of_images() -> None:
    path = FORMATS / "generated" / "batch_nested.zip"
    if not path.exists():
        pytest.skip("not here")
    with path.open("rb") as file:
        entries = READER.entries(file, path.name)
    names = ["IXMtest_B04_s2", "IXMtest_B22_s8", "IXMtest_C18_s1"]
    assert [entry.member for entry in entries] == [f"batch/plate1/{name}.tif" for name in names]
    for entry in entries:
        with path.open("rb") as file:
            source = READER.open(file, path.name, ReadOptions(member=entry.member))
            assert source.plane(0, 0, [0]).shape == (1, 520, 696)


def vendor(name: str) -> Path:
    path = FORMATS / "vendor" / name
    if not path.exists():
        pytest.skip("not here")
    return path


def test_czi() -> None:
    pytest.importorskip("pylibCZIrw")
    path = vendor("xyz__multiple_images.czi")
    with path.open("rb") as file:
        assert len(READER.entries(file, path.name)) == 2
    for series in (0, 1):
        source = READER.open(path.open("rb"), path.name, ReadOptions(series=series))
        assert (source.axes, source.dtype, source.channel_names) == ("ZYX", np.uint16, ("ChA",))
        assert source.pixel_size_um == pytest.approx((0.195644, 0.195644), rel=1e-4)
        assert source.z_step_um == pytest.approx(0.3)
        assert source.plane(0, 1, [0]).shape == (1, 251, 251)
        source.close()


def test_nd2() -> None:
    pytest.importorskip("bioio_nd2")
    path = vendor("cluster.nd2")
    source = READER.open(path.open("rb"), path.name)
    assert dict(source.sizes) == {"t": 3, "c": 2, "z": 10, "y": 31, "x": 38}
    assert source.channel_names == ("5-FAM/pH 9.0", "FM 4-64/2% CHAPS")
    assert source.pixel_size_um == pytest.approx((0.167809, 0.167809), rel=1e-4)
    assert source.z_step_um == pytest.approx(0.5)
    whole = __import__("nd2").imread(path)
    for t, z in np.ndindex(3, 10):
        np.testing.assert_array_equal(source.plane(t, z, [0, 1]), whole[t, z])
    source.close()
