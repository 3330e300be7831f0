"""CZI, ND2 and LIF: what holds without the extra `formats`, and the reading with it."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from image_makers import everything, pixels
from lif_makers import lif
from zarr_makers import zip_of

from kiosk.adapters.image_files import ImageFileReader
from kiosk.adapters.images import vendor_files
from kiosk.adapters.images.vendor_files import LocalFile
from kiosk.adapters.object_store import ObstoreObjectStore
from kiosk.errors import InvalidRequest, TooLarge
from kiosk.ports import ImageSource
from kiosk.reading import ReadOptions
from kiosk.settings import LimitSettings

CZI, ND2, OLD_ND2, LIF = (
    b"ZISRAWFILE\0\0",
    b"\xda\xce\xbe\x0a\0\0",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\x70\0\0\0\x10\0\0\0\x2a",
)


def opened(data: bytes, name: str, series: int = 0, **limits: int) -> ImageSource:
    reader = ImageFileReader(LimitSettings(**limits))
    return reader.open(io.BytesIO(data), name, ReadOptions(series=series))


def titles(data: bytes, name: str) -> list[tuple[int, str]]:
    entries = ImageFileReader(LimitSettings()).entries(io.BytesIO(data), name)
    return [(entry.series, entry.title) for entry in entries]


# ---------------------------------------------------------------- without the extra


@pytest.mark.parametrize(
    ("data", "word"), [(CZI, "CZI"), (ND2, "ND2"), (OLD_ND2, "ND2"), (LIF, "LIF")]
)
def test_without_the_extra_the_answer_says_what_to_install(
    data: bytes, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(module: str) -> Any:
        raise ModuleNotFoundError(module)

    monkeypatch.setattr(vendor_files.importlib, "import_module", missing)
    for call in (lambda: opened(data, "a.bin"), lambda: titles(data, "a.bin")):
        with pytest.raises(InvalidRequest) as caught:
            call()
        assert caught.value.reason == "UNSUPPORTED_FORMAT"
        assert word in caught.value.message
        assert "pip install 'cell-kiosk[formats]'" in caught.value.message


@pytest.mark.parametrize("data", [CZI, ND2, OLD_ND2, LIF])
def test_errors_of_a_plugin_become_a_sentence(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("segment 7 of libfoo")

    module = SimpleNamespace(Reader=broken, CziReader=broken)
    monkeypatch.setattr(vendor_files.importlib, "import_module", lambda name: module)
    for call in (lambda: opened(data, "a.bin"), lambda: titles(data, "a.bin")):
        with pytest.raises(InvalidRequest) as caught:
            call()
        assert caught.value.reason == "CORRUPT_IMAGE"
        assert "libfoo" not in caught.value.message


def test_a_file_elsewhere_is_copied_and_the_copy_deleted() -> None:
    file = io.BytesIO(b"pixels")
    local = LocalFile(file, 6)
    assert Path(local.path).read_bytes() == b"pixels"
    local.discard()
    assert not Path(local.path).exists()
    assert not file.closed
    local.close()
    assert file.closed


async def test_a_file_in_a_folder_is_read_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObstoreObjectStore(str(tmp_path / "objects"))
    await store.put("uploads/a/data", CZI)
    seen = []

    def note(path: str) -> Any:
        seen.append(path)
        raise RuntimeError

    module = SimpleNamespace(CziReader=note)
    monkeypatch.setattr(vendor_files.importlib, "import_module", lambda name: module)
    with pytest.raises(InvalidRequest):
        ImageFileReader(LimitSettings()).open(store.open("uploads/a/data"), "cells.czi")
    assert seen == [str(tmp_path / "objects" / "uploads" / "a" / "data")]


# ---------------------------------------------------------------- with it


def made_czi(folder: Path, planes: dict[tuple[int, int, int, int], np.ndarray]) -> bytes:
    """(scene, t, z, c) -> pixels; a colour image has red, green and blue last."""
    czi = pytest.importorskip("pylibCZIrw.czi")
    path = folder / "made.czi"
    with czi.create_czi(str(path)) as writer:
        for (scene, t, z, c), data in planes.items():
            stored = data[..., ::-1] if data.ndim == 3 else data
            writer.write(
                np.ascontiguousarray(stored),
                plane={"T": t, "Z": z, "C": c},
                scene=scene,
                location=(scene * 1000, 0),
            )
        writer.write_metadata(
            "made",
            channel_names={0: "DAPI", 1: "GFP"},
            scale_x=0.2e-6,
            scale_y=0.3e-6,
            scale_z=2e-6,
        )
    return path.read_bytes()


def test_a_czi_with_all_axes(tmp_path: Path) -> None:
    data = pixels(2, 3, 2, 20, 30)  # t, z, c, y, x
    planes = {(0, t, z, c): data[t, z, c] for t in range(2) for z in range(3) for c in range(2)}
    source = opened(made_czi(tmp_path, planes), "cells.czi")
    assert (source.format, source.axes) == ("CZI", "TCZYX")
    assert source.channel_names == ("DAPI", "GFP")
    assert source.pixel_size_um == pytest.approx((0.3, 0.2))
    assert source.z_step_um == pytest.approx(2)
    np.testing.assert_array_equal(everything(source), data)
    window = (slice(3, 7), slice(10, 30))
    np.testing.assert_array_equal(source.plane(1, 2, [1], window)[0], data[1, 2, 1][window])
    source.close()


def test_scenes_of_a_czi(tmp_path: Path) -> None:
    first, second = pixels(8, 9), pixels(10, 12)
    data = made_czi(tmp_path, {(0, 0, 0, 0): first, (1, 0, 0, 0): second})
    assert titles(data, "cells.czi") == [(0, "scene 0"), (1, "scene 1")]
    for series, plane in enumerate((first, second)):
        np.testing.assert_array_equal(opened(data, "cells.czi", series).plane(0, 0, [0])[0], plane)
    with pytest.raises(InvalidRequest) as caught:
        opened(data, "cells.czi", 2)
    assert caught.value.reason == "SERIES_NOT_FOUND"


def test_colours_of_a_czi(tmp_path: Path) -> None:
    colours = pixels(8, 9, 3, dtype="u1")
    source = opened(made_czi(tmp_path, {(0, 0, 0, 0): colours}), "cells.czi")
    assert source.is_rgb
    assert source.channel_names == ("red", "green", "blue")
    np.testing.assert_array_equal(source.plane(0, 0, [2, 0]), colours.transpose(2, 0, 1)[[2, 0]])


def test_a_czi_in_a_zip(tmp_path: Path) -> None:
    plane = pixels(8, 9)
    data = zip_of({"a/cells.czi": made_czi(tmp_path, {(0, 0, 0, 0): plane})})
    np.testing.assert_array_equal(opened(data, "cells.zip").plane(0, 0, [0])[0], plane)


def test_a_lif_with_all_axes() -> None:
    pytest.importorskip("bioio_lif")
    data = pixels(2, 3, 4, 20, 30)  # t, c, z, y, x
    small = pixels(1, 1, 1, 8, 9, dtype="u1")
    whole = lif([("first", data), ("second", small)])
    assert titles(whole, "cells.lif") == [(0, "first"), (1, "second")]
    source = opened(whole, "cells.lif")
    assert (source.format, source.axes) == ("LIF", "TCZYX")
    assert source.channel_names == ("Dye 0", "Dye 1", "Dye 2")
    assert source.pixel_size_um == pytest.approx((0.5, 0.25))
    assert source.z_step_um == pytest.approx(2)
    assert source.frame_interval_s == pytest.approx(30)
    np.testing.assert_array_equal(everything(source), data.transpose(0, 2, 1, 3, 4))
    np.testing.assert_array_equal(
        everything(opened(whole, "cells.lif", 1))[0, 0, 0], small[0, 0, 0]
    )


def test_vendor_files_over_the_limits(tmp_path: Path) -> None:
    data = made_czi(tmp_path, {(0, 0, 0, 0): pixels(20, 30)})
    with pytest.raises(TooLarge):
        opened(data, "cells.czi", plane_px=500)
    pytest.importorskip("bioio_lif")
    whole = lif([("a", pixels(5, 1, 4, 8, 9))])
    for limits in ({"planes": 19}, {"plane_px": 70}):
        with pytest.raises(TooLarge):
            opened(whole, "cells.lif", **limits)


def test_cut_vendor_files_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("bioio_lif")
    whole = {
        "cells.czi": made_czi(tmp_path, {(0, 0, 0, 0): pixels(20, 30)}),
        "cells.lif": lif([("a", pixels(2, 1, 1, 20, 30))]),
    }
    for name, data in whole.items():
        for end in (40, len(data) // 3, len(data) // 2):
            with pytest.raises(InvalidRequest):
                everything(opened(data[:end], name))
