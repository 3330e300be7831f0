"""Folders of single frames as one movie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from kiosk.adapters.image_files import ImageFileReader
from kiosk.errors import InvalidRequest
from kiosk.frame_files import FrameFolder
from kiosk.settings import LimitSettings

FILES = ImageFileReader(LimitSettings())


def frame(value: int, shape: tuple[int, ...] = (20, 30), dtype: Any = np.uint16) -> np.ndarray:
    made = np.full(shape, value, dtype)
    made[..., 0, 0] = 0
    return made


def write(path: Path, image: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image, **{"photometric": "minisblack", **options})


def movie_of(folder: Path, target: Path, **options: bool) -> Any:
    """The folder as the kiosk reads it: the opened source and the folder."""
    frames = FrameFolder(folder, FILES, **options)
    frames.write(target)
    return FILES.open(target.open("rb"), target.name), frames


def test_frames_are_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 1, 2):
        write(tmp_path / "in" / f"t{number}.tif", frame(number))
    source, _ = movie_of(tmp_path / "in", tmp_path / "m.tif")
    assert dict(source.sizes) == {"t": 3, "c": 1, "z": 1, "y": 20, "x": 30}
    assert [source.plane(t, 0, [0])[0, 5, 5] for t in range(3)] == [1, 2, 10]
    assert source.dtype == np.uint16


@pytest.mark.parametrize("name", ["Zelle 1, größer.tif", "a,b (1).tif", "t=1 ä#%.tif"])
def test_names_may_be_anything(tmp_path: Path, name: str) -> None:
    write(tmp_path / "in" / name, frame(3))
    source, _ = movie_of(tmp_path / "in", tmp_path / "m.tif")
    assert source.sizes["t"] == 1
    assert source.plane(0, 0, [0])[0, 5, 5] == 3


@pytest.mark.parametrize(
    ("axes", "shape"), [("CYX", (3, 20, 30)), ("ZYX", (4, 20, 30)), ("CZYX", (2, 4, 20, 30))]
)
def test_channels_and_planes_along_z(tmp_path: Path, axes: str, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(1).integers(0, 60_000, (3, *shape)).astype(np.uint16)
    metadata: dict[str, Any] = {"axes": axes, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    if "Z" in axes:
        metadata["PhysicalSizeZ"] = 2.0
    if "C" in axes:
        metadata["Channel"] = {"Name": [f"dye {c}" for c in range(shape[0])]}
    for t, image in enumerate(images):
        write(tmp_path / "in" / f"t{t}.ome.tif", image, ome=True, metadata=metadata)
    source, _ = movie_of(tmp_path / "in", tmp_path / "m.tif")
    whole = images.reshape(3, *(shape if "C" in axes else (1, *shape)))
    whole = whole if "Z" in axes else whole[:, :, None]
    assert (source.sizes["c"], source.sizes["z"]) == whole.shape[1:3]
    for t in range(3):
        for z in range(whole.shape[2]):
            found = source.plane(t, z, range(whole.shape[1]))
            np.testing.assert_array_equal(found, whole[t, :, z])
    assert source.pixel_size_um == (0.25, 0.5)
    assert source.z_step_um == (2.0 if "Z" in axes else None)
    if "C" in axes:
        assert list(source.channel_names) == metadata["Channel"]["Name"]


def test_colours(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    images = np.random.default_rng(1).integers(0, 255, (2, 20, 30, 3)).astype(np.uint8)
    for t, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "in" / f"t{t}.png")
    source, _ = movie_of(tmp_path / "in", tmp_path / "m.tif")
    assert source.is_rgb
    assert source.sizes["t"] == 2
    for t in range(2):
        np.testing.assert_array_equal(source.plane(t, 0, [0, 1, 2]), images[t].transpose(2, 0, 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int16, np.float32])
def test_types_of_pixels_are_kept(tmp_path: Path, dtype: Any) -> None:
    for t in range(2):
        write(tmp_path / "in" / f"t{t}.tif", frame(t + 1, dtype=dtype))
    source, _ = movie_of(tmp_path / "in", tmp_path / "m.tif")
    assert source.dtype == dtype
    assert source.plane(1, 0, [0])[0, 5, 5] == 2


def test_frames_of_another_type_lose_nothing(tmp_path: Path) -> None:
    """Some programs write 8 bit where they are enough: masks of few cells before those of many."""
    write(tmp_path / "in" / "t1.tif", frame(7, dtype=np.uint8))
    write(tmp_path / "in" / "t2.tif", frame(700))
    source, _ = movie_of(tmp_path / "in", tmp_path / "m.tif")
    assert [source.plane(t, 0, [0])[0, 5, 5] for t in range(2)] == [7, 700]


@pytest.mark.parametrize(
    ("dtypes", "values", "expected"),
    [
        ((np.int64, np.int64), (3, 2**32 - 1), np.uint32),
        ((np.uint8, np.uint64), (3, 70_000), np.uint32),
        ((np.int64, np.int64), (3, -4), np.float64),
        ((np.int64, np.int64), (2**40, 3), np.float64),
        ((np.uint32, np.int32), (2**32 - 1, -4), np.float64),
        ((np.int16, np.uint16), (-5, 60_000), np.int32),
        ((np.uint8, np.float32), (5, 0.25), np.float32),
        ((np.float16, np.float16), (0.5, 4), np.float32),
    ],
)
def test_types_that_hold_all_frames(
    tmp_path: Path, dtypes: tuple[Any, Any], values: tuple[float, float], expected: Any
) -> None:
    for t, (dtype, value) in enumerate(zip(dtypes, values, strict=True)):
        write(tmp_path / "in" / f"t{t}.tif", np.full((9, 9), value, dtype))
    source, _ = movie_of(tmp_path / "in", tmp_path / "m.tif")
    assert source.dtype == expected
    assert [source.plane(t, 0, [0]).max() for t in range(2)] == list(values)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((21, 30), r"'t2.tif' has 21 x 30 pixels, and the first frame 20 x 30 pixels"),
        ((2, 20, 30), r"'t2.tif' holds 2 frames"),
    ],
)
def test_frames_that_are_unlike_the_first(
    tmp_path: Path, shape: tuple[int, ...], sentence: str
) -> None:
    write(tmp_path / "in" / "t1.tif", frame(1))
    write(tmp_path / "in" / "t2.tif", frame(2, shape))
    with pytest.raises(InvalidRequest, match=sentence):
        movie_of(tmp_path / "in", tmp_path / "m.tif")
    source, frames = movie_of(tmp_path / "in", tmp_path / "m.tif", skip_bad_frames=True)
    assert list(frames.bad) == ["t2.tif"]
    assert source.sizes["t"] == 2
    assert not source.plane(1, 0, [0]).any()


@pytest.mark.parametrize("bad", ["t1.tif", "t2.tif", "t3.tif"])
@pytest.mark.parametrize("data", [b"", b"no image", b"II*\0"])
def test_a_broken_frame(tmp_path: Path, bad: str, data: bytes) -> None:
    for t in (1, 2, 3):
        write(tmp_path / "in" / f"t{t}.tif", frame(t))
    (tmp_path / "in" / bad).write_bytes(data)
    with pytest.raises(InvalidRequest, match=bad):
        movie_of(tmp_path / "in", tmp_path / "m.tif")
    source, frames = movie_of(tmp_path / "in", tmp_path / "m.tif", skip_bad_frames=True)
    assert list(frames.bad) == [bad]
    values = [int(source.plane(t, 0, [0])[0, 5, 5]) for t in range(3)]
    assert values == [0 if bad == f"t{t}.tif" else t for t in (1, 2, 3)]


def test_a_frame_that_is_cut_off_in_its_pixels(tmp_path: Path) -> None:
    noise = np.random.default_rng(2).integers(0, 60_000, (3, 60, 70)).astype(np.uint16)
    for t, image in enumerate(noise):
        write(tmp_path / "in" / f"t{t}.tif", image)
    path = tmp_path / "in" / "t1.tif"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InvalidRequest):
        movie_of(tmp_path / "in", tmp_path / "m.tif")
    source, frames = movie_of(tmp_path / "in", tmp_path / "m.tif", skip_bad_frames=True)
    assert list(frames.bad) == ["t1.tif"]
    np.testing.assert_array_equal(source.plane(2, 0, [0])[0], noise[2])


def test_nothing_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.tif", "b.tif"):
        (tmp_path / "in" / name).write_bytes(b"nothing")
    with pytest.raises(InvalidRequest, match="can be read as an image"):
        movie_of(tmp_path / "in", tmp_path / "m.tif", skip_bad_frames=True)


def test_folders_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(InvalidRequest, match="There is no image in"):
        FrameFolder(tmp_path, FILES)
