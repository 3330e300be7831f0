"""Small sound files of all formats, from which hostile ones are made."""

from __future__ import annotations

import io
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from PIL import Image

RNG = np.random.default_rng(11)
STACK = RNG.integers(0, 60_000, (2, 3, 24, 32), dtype=np.uint16)
COLOUR = RNG.integers(0, 255, (24, 32, 3), dtype=np.uint8)


def _tiff(image: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if image.ndim > 3:
        options.setdefault("photometric", "minisblack")
    tifffile.imwrite(buffer, image, **options)
    return buffer.getvalue()


def _pyramid() -> bytes:
    buffer = io.BytesIO()
    image = RNG.integers(0, 255, (64, 64), dtype=np.uint8)
    with tifffile.TiffWriter(buffer, ome=True) as tif:
        tif.write(image, subifds=2, tile=(16, 16), metadata={"axes": "YX"})
        for step in (2, 4):
            tif.write(image[::step, ::step], subfiletype=1, tile=(16, 16))
    return buffer.getvalue()


def _picture(kind: str, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(COLOUR).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def _npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, STACK)
    return buffer.getvalue()


def _zip(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _zarr(zarr_format: int) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = zarr.open_group(str(folder / "a.zarr"), mode="w", zarr_format=zarr_format)
        root.create_array("0", data=STACK, chunks=(1, 1, 16, 16))
        scale = [{"type": "scale", "scale": [1.0, 1.0, 0.5, 0.5]}]
        axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
        axes += [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
        image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
        if zarr_format == 2:
            root.attrs["multiscales"] = [{"version": "0.4", **image}]
        else:
            root.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
        found = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    return _zip(found, zipfile.ZIP_STORED)


def _slips() -> bytes:
    tiff = _tiff(STACK[0, 0])
    names = ["../../evil.tif", "/etc/evil.tif", "C:\\evil.tif", "a/../b.tif", "nul\x00.tif", "."]
    return _zip(dict.fromkeys([*names, "x" * 3000 + ".tif", "漢字.tif", "con.tif"], tiff))


@cache
def seeds() -> dict[str, bytes]:
    """Files by name."""
    plain = STACK[0, 0]
    return {
        "plain.tif": _tiff(plain),
        "big-endian.tif": _tiff(plain, byteorder=">"),
        "bigtiff.tif": _tiff(STACK, bigtiff=True, metadata={"axes": "TCYX"}),
        "ome.tif": _tiff(STACK, ome=True, metadata={"axes": "TCYX", "PhysicalSizeX": 0.5}),
        "imagej.tif": _tiff(STACK, imagej=True, metadata={"axes": "TCYX"}),
        "deflate.tif": _tiff(STACK, ome=True, compression="zlib", predictor=True),
        "lzw.tif": _tiff(plain, compression="lzw"),
        "packbits.tif": _tiff(COLOUR, photometric="rgb", compression="packbits"),
        "zstd.tif": _tiff(plain, compression="zstd", tile=(16, 16)),
        "jpeg.tif": _tiff(COLOUR, photometric="rgb", compression="jpeg", tile=(16, 16)),
        "webp.tif": _tiff(COLOUR, photometric="rgb", compression="webp", tile=(16, 16)),
        "jpeg2000.tif": _tiff(plain, compression="jpeg2000"),
        "lerc.tif": _tiff(plain, compression="lerc"),
        "float.tif": _tiff(plain.astype(np.float32), compression="zlib", predictor=True),
        "bits.tif": _tiff(plain > 30_000),
        "pyramid.ome.tif": _pyramid(),
        "rgb.png": _picture("PNG"),
        "palette.png": _picture("PNG", "P"),
        "grey.jpg": _picture("JPEG", "L"),
        "colour.jpg": _picture("JPEG"),
        "array.npy": _npy(),
        "zip.zip": _zip({"a.tif": _tiff(plain), "b/c.png": _picture("PNG"), "d.txt": b"text"}),
        "slips.zip": _slips(),
        "zarr2.zip": _zarr(2),
        "zarr3.zip": _zarr(3),
        "czi.czi": b"ZISRAWFILE".ljust(16, b"\0") + bytes(600),
        "nd2.nd2": b"\xda\xce\xbe\x0a" + bytes(12) + b"ND2 FILE SIGNATURE CHUNK" + bytes(64),
        "lif.lif": b"\x70\x00\x00\x00\x20\x00\x00\x00\x2a" + bytes(100),
        "other.gz": b"\x1f\x8b\x08" + bytes(40),
        "text.tif": b"just text",
    }  # fmt: skip
