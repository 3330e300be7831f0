"""The promises of `ports.ImageFiles`, kept alike in one process and by processes of their own."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from kiosk.adapters.decoder.decoding_files import DecodingImageFiles
from kiosk.adapters.image_files import ImageFileReader
from kiosk.adapters.object_store import ObstoreObjectStore
from kiosk.errors import InvalidRequest, NotFound
from kiosk.ports import ImageEntry, ImageFiles, ImageSource
from kiosk.reading import ReadOptions
from kiosk.settings import DecodingSettings, LimitSettings

RNG = np.random.default_rng(3)
MOVIE = RNG.integers(0, 60_000, (3, 2, 40, 50), dtype=np.uint16)
COLOUR = RNG.integers(0, 255, (30, 40, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=["in process", "decoder"])
def files(request: pytest.FixtureRequest) -> Iterator[ImageFiles]:
    if request.param == "in process":
        yield ImageFileReader(LimitSettings())
        return
    decoding = DecodingImageFiles(LimitSettings(), DecodingSettings())
    yield decoding
    decoding.close()


def tiff(image: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, **options)
    return buffer.getvalue()


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(COLOUR).save(buffer, kind)
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, MOVIE.astype(">f4"))
    return buffer.getvalue()


def zip_of(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/") + ".tif", data)
    return buffer.getvalue()


def write_zarr(folder: Path) -> None:
    """An OME-Zarr of the movie with two resolutions."""
    root = zarr.open_group(str(folder), mode="w", zarr_format=2)
    datasets = []
    for level, step in enumerate((1, 2)):
        data = MOVIE[..., ::step, ::step]
        root.create_array(str(level), data=data, chunks=(1, 1, 16, 16))
        scale = [60.0, 1.0, 0.5 * step, 0.5 * step]
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
    axes = [
        {"name": "t", "type": "time", "unit": "second"},
        {"name": "c", "type": "channel"},
        *({"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"),
    ]
    root.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]


def zarr_zip(folder: Path) -> bytes:
    write_zarr(folder / "image.zarr")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, str(path.relative_to(folder)))
    return buffer.getvalue()


METADATA = {
    "axes": "TCYX",
    "PhysicalSizeX": 0.5,
    "PhysicalSizeXUnit": "µm",
    "PhysicalSizeY": 0.5,
    "PhysicalSizeYUnit": "µm",
    "Channel": {"Name": ["DAPI", "membrane µ"]},
}
MOVIES: dict[str, Callable[[Path], bytes]] = {
    "OME-TIFF": lambda _: tiff(MOVIE, ome=True, metadata=METADATA),
    "BigTIFF": lambda _: tiff(MOVIE, bigtiff=True, ome=True, metadata=METADATA),
    "compressed": lambda _: tiff(MOVIE, ome=True, compression="zlib", metadata=METADATA),
    "tiled": lambda _: tiff(MOVIE, ome=True, tile=(16, 16), metadata=METADATA),
    "ImageJ": lambda _: tiff(MOVIE, imagej=True, metadata={"axes": "TCYX"}),
    "zip": lambda _: zip_of(a=tiff(MOVIE, ome=True, metadata=METADATA)),
    "OME-Zarr": zarr_zip,
}


def facts(source: ImageSource) -> dict[str, Any]:
    return {
        "format": source.format,
        "sizes": dict(source.sizes),
        "axes": source.axes,
        "dtype": np.dtype(source.dtype),
        "is_rgb": source.is_rgb,
        "channel_names": list(source.channel_names),
        "pixel_size_um": source.pixel_size_um and tuple(source.pixel_size_um),
        "z_step_um": source.z_step_um,
        "frame_interval_s": source.frame_interval_s,
        "levels": [tuple(level) for level in source.levels],
        "notes": list(source.notes),
    }


def check_movie(source: ImageSource) -> None:
    assert source.sizes == {"t": 3, "c": 2, "z": 1, "y": 40, "x": 50}
    for t in range(3):
        assert (source.plane(t, 0, [0, 1]) == MOVIE[t]).all()
        window = (slice(7, 33), slice(11, 999))
        assert (source.plane(t, 0, [1], window)[0] == MOVIE[t, 1][window]).all()
    with pytest.raises(InvalidRequest):
        source.plane(3, 0, [0])
    with pytest.raises(InvalidRequest):
        source.plane(0, 0, [0], level=7)


@pytest.mark.parametrize("form", MOVIES)
def test_a_movie_is_read(files: ImageFiles, form: str, tmp_path: Path) -> None:
    data = MOVIES[form](tmp_path)
    assert len(files.entries(io.BytesIO(data), "movie")) == 1
    with contextlib.closing(files.open(io.BytesIO(data), "movie")) as source:
        check_movie(source)
        in_process = ImageFileReader(LimitSettings()).open(io.BytesIO(data), "movie")
        assert facts(source) == facts(in_process)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_is_read(files: ImageFiles, kind: str) -> None:
    with contextlib.closing(files.open(io.BytesIO(picture(kind)), "picture")) as source:
        assert source.is_rgb
        found = source.plane(0, 0, range(3))
        assert found.shape == (3, 30, 40)
        if kind == "PNG":
            assert (np.moveaxis(found, 0, -1) == COLOUR).all()


def test_an_array_is_read_with_the_axes_that_the_caller_gives(files: ImageFiles) -> None:
    options = ReadOptions(axes="TCYX", pixel_size_um=0.25)
    with contextlib.closing(files.open(io.BytesIO(npy()), "a.npy", options)) as source:
        check_movie(source)
        assert source.pixel_size_um == (0.25, 0.25)
        assert source.dtype == np.float32


def test_members_of_an_archive_are_images_of_their_own(files: ImageFiles) -> None:
    members = {"a": MOVIE[0, 0], "b__c µ": MOVIE[1, 1]}
    data = zip_of(**{name: tiff(image) for name, image in members.items()})
    entries = files.entries(io.BytesIO(data), "a.zip")
    assert entries == [ImageEntry(member=m, title=m) for m in ("a.tif", "b/c µ.tif")]
    for entry, image in zip(entries, members.values(), strict=True):
        options = ReadOptions(member=entry.member)
        with contextlib.closing(files.open(io.BytesIO(data), "a.zip", options)) as source:
            assert (source.plane(0, 0, [0])[0] == image).all()
    with pytest.raises(InvalidRequest) as caught:
        files.open(io.BytesIO(data), "a.zip")
    assert caught.value.reason == "MEMBER_NEEDED"
    with pytest.raises(NotFound):
        files.open(io.BytesIO(data), "a.zip", ReadOptions(member="z.tif"))


@pytest.mark.parametrize("where", ["folder", "s3"])
async def test_stored_objects_are_read(
    files: ImageFiles, where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = str(tmp_path) if where == "folder" else request.getfixturevalue("bucket")
    store = ObstoreObjectStore(url)
    await store.put("uploads/a/data", MOVIES["compressed"](tmp_path))
    with contextlib.closing(files.open(store.open("uploads/a/data"), "movie")) as source:
        check_movie(source)


@pytest.mark.parametrize("where", ["folder", "s3"])
@pytest.mark.parametrize("form", ["file", "zarr"])
async def test_addresses_are_read(
    files: ImageFiles, where: str, form: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    local = tmp_path / "local"
    if form == "zarr":
        write_zarr(local / "image")
    else:
        local.mkdir()
        (local / "image").write_bytes(MOVIES["tiled"](tmp_path))
    url = local.as_uri()
    if where == "s3":
        url = request.getfixturevalue("bucket")
        store = ObstoreObjectStore(url)
        for path in local.rglob("*"):
            if path.is_file():
                await store.put(str(path.relative_to(local)), path.read_bytes())
    assert len(files.entries(f"{url}/image", "movie")) == 1
    with contextlib.closing(files.open(f"{url}/image", "movie")) as source:
        check_movie(source)
        if form == "zarr":
            found = source.plane(2, 0, [1], level=1)[0]
            assert (found == MOVIE[2, 1, ::2, ::2]).all()
    with pytest.raises(InvalidRequest):
        files.open(f"{url}/nothing", "movie")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "EMPTY_FILE"),
        (b"just text", "NOT_AN_IMAGE"),
        (b"PK\x03\x04" + bytes(100), "TRUNCATED_IMAGE"),
        (b"II*\x00" + bytes(100), "CORRUPT_IMAGE"),
        (b"GIF89a" + bytes(100), "UNSUPPORTED_FORMAT"),
    ],
    ids=["empty", "text", "zip", "TIFF", "GIF"],
)
def test_what_is_no_image_is_refused_with_a_sentence(
    files: ImageFiles, data: bytes, reason: str
) -> None:
    file = io.BytesIO(data)
    for ask in (files.open, files.entries):
        with pytest.raises(InvalidRequest) as caught:
            ask(file, "x.tif")
        assert caught.value.reason == reason
        assert "x.tif" in caught.value.message
        assert not file.closed


def test_damaged_pixels_are_found_when_they_are_read(files: ImageFiles) -> None:
    data = bytearray(MOVIES["compressed"](Path()))
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        offset = tif.pages[4].dataoffsets[0]
    data[offset : offset + 200] = bytes(200)
    with contextlib.closing(files.open(io.BytesIO(bytes(data)), "a.tif")) as source:
        assert (source.plane(0, 0, [0])[0] == MOVIE[0, 0]).all()
        with pytest.raises(InvalidRequest) as caught:
            source.plane(2, 0, [0])
        assert caught.value.reason == "CORRUPT_IMAGE"
        assert (source.plane(0, 0, [0])[0] == MOVIE[0, 0]).all()


def test_closing_closes_the_file(files: ImageFiles) -> None:
    file = io.BytesIO(picture("PNG"))
    source = files.open(file, "a.png")
    source.close()
    source.close()
    assert file.closed
