"""A folder of real, odd and hostile image files: each is read, or refused with a sentence.

The files are read as uploads are, each in a process of its own with limits on memory and time: a
file that crashes or hangs it shows up as one that was not answered as it should. The folder is
optional; its `manifest.csv` tells what each file decodes to.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kiosk.adapters.decoder.decoding_files import DecodingImageFiles
from kiosk.errors import InvalidRequest
from kiosk.ports import ImageFiles, ImageSource
from kiosk.settings import GIB, DecodingSettings, LimitSettings

CHECKOUT = Path(__file__).resolve().parents[2]
FORMATS = CHECKOUT.parent / "shared" / "data" / "formats"
DECODING = DecodingSettings(memory_bytes=3 * GIB, open_timeout_s=20.0, plane_timeout_s=20.0)
NAME = "name of the file"

pytestmark = pytest.mark.skipif(
    not (FORMATS / "manifest.csv").is_file(), reason="the folder of shared formats is not here"
)


def manifest() -> dict[str, dict[str, str]]:
    with (FORMATS / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    return {path: row for path, row in rows.items() if (FORMATS / path).is_file()}


def windows_agree(source: ImageSource, whole: np.ndarray) -> bool:
    """Whether windows are crops of the whole plane, at every resolution."""
    channels = range(source.sizes["c"])
    for level, (height, width) in enumerate(source.levels):
        plane = source.plane(0, 0, channels, level=level) if level else whole
        if plane.shape != (len(channels), height, width):
            return False
        for part in (0.5, 0.07):
            h, w = max(1, int(height * part)), max(1, int(width * part))
            top, left = (height - h) // 3, (width - w) * 2 // 3
            window = (slice(top, top + h), slice(left, left + w))
            crop = source.plane(0, 0, channels, window, level)
            if not np.array_equal(crop, plane[:, *window], equal_nan=crop.dtype.kind == "f"):
                return False
    return True


def answer_of(files: ImageFiles, path: Path) -> dict[str, Any]:
    try:
        source = files.open(path.open("rb"), NAME)
        try:
            sizes = dict(source.sizes)
            plane = source.plane(0, 0, range(sizes["c"]))
            return {
                "sizes": sizes,
                "dtype": str(source.dtype),
                "shape": list(plane.shape),
                "plane_dtype": str(plane.dtype),
                "notes": list(source.notes),
                "names": list(source.channel_names),
                "levels": len(source.levels),
                "pixel_size_um": source.pixel_size_um and list(source.pixel_size_um),
                "format": source.format,
                "windows_agree": windows_agree(source, plane),
                "entries": len(files.entries(path.open("rb"), NAME)),
            }
        finally:
            source.close()
    except InvalidRequest as error:
        return {"reason": error.reason, "message": error.message}
    except Exception as error:
        return {"leaked": repr(error)[:300]}


@pytest.fixture(scope="module")
def answers() -> Iterator[dict[str, dict[str, Any]]]:
    """Answers of all files by path."""
    files = DecodingImageFiles(LimitSettings(), DECODING)
    yield {path: answer_of(files, FORMATS / path) for path in manifest()}
    files.close()


def test_every_file_is_read_or_refused(answers: dict[str, dict[str, Any]]) -> None:
    assert {p: a["leaked"] for p, a in answers.items() if "leaked" in a} == {}
    for path, answer in answers.items():
        if "sizes" in answer:
            sizes = answer["sizes"]
            assert answer["shape"] == [sizes["c"], sizes["y"], sizes["x"]]
            assert answer["plane_dtype"] == answer["dtype"]
            assert len(answer["names"]) == sizes["c"]
            assert answer["windows_agree"], path
            assert answer["entries"] >= 1
        else:
            assert re.fullmatch(r"[A-Z_]+", answer["reason"])
            assert answer["message"].endswith(".")
            assert "Error" not in answer["message"]


def decoded(row: dict[str, str]) -> tuple[str, tuple[int, ...], str] | None:
    """(axes, shape, dtype) of the first series of a TIFF, as the manifest has them."""
    match = re.match(r"OK ([A-Z]+) \(([\d, ]+)\) (\w+)", row["decoded"])
    if match is None:
        return None
    shape = tuple(int(number) for number in match[2].split(",") if number.strip())
    return (match[1], shape, match[3]) if len(shape) == len(match[1]) else None


# Colour models and sizes that are refused on purpose; a few more are cut short or too large.
REFUSED = re.compile(r"cmyk|separated|Lab")


def test_sizes_agree_with_the_manifest(answers: dict[str, dict[str, Any]]) -> None:
    compared = 0
    for path, row in manifest().items():
        expected = decoded(row)
        if expected is None or path.startswith(("corrupt", "zarr")):
            continue
        answer = answers[path]
        if REFUSED.search(path):
            assert answer["reason"] in ("UNSUPPORTED_FORMAT", "IMAGE_TOO_LARGE"), path
            continue
        axes, shape, dtype = expected
        lengths = dict(zip(axes, shape, strict=True))
        sizes = answer.get("sizes", answer)
        assert (sizes["y"], sizes["x"]) == (lengths["Y"], lengths["X"]), path
        if "I" in axes:
            assert sizes["t"] == lengths["I"], path
        else:
            assert (sizes["t"], sizes["z"]) == (lengths.get("T", 1), lengths.get("Z", 1)), path
        channels = lengths.get("C", 1) * lengths.get("S", 1)
        expanded = any("palette of the image is expanded" in note for note in answer["notes"])
        dropped = any("alpha" in note for note in answer["notes"])
        assert sizes["c"] == (3 if expanded else channels - dropped), path
        assert expanded or answer["dtype"] == dtype, path
        compared += 1
    assert compared > 60


def test_levels_and_series_agree_with_the_manifest(answers: dict[str, dict[str, Any]]) -> None:
    for path, row in manifest().items():
        if decoded(row) is None or path.startswith(("corrupt", "zarr")) or REFUSED.search(path):
            continue
        levels = re.match(r"OK [A-Z]+ \([\d, ]+\) \w+ levels (\d)", row["decoded"])
        assert answers[path]["levels"] == (int(levels[1]) if levels else 1), path
        assert answers[path]["entries"] == row["decoded"].count(" + ") + 1, path


def test_sizes_of_pixels_and_formats(answers: dict[str, dict[str, Any]]) -> None:
    expected = {
        "generated/pyramid_subifd_2ch.ome.tif": ("OME-TIFF", [0.656, 0.656]),
        "generated/tzcyx.ome.tif": ("OME-TIFF", [0.65, 0.65]),
        "generated/handmade_5planes.stk": ("STK", None),
        "generated/tyx_stack.npy": ("NumPy array", None),
        "imagej/ilastik_3d_t_other_meta.tif": ("ImageJ TIFF", [0.1, 0.00314]),
        "imagej/neubias_xyzc_16bit__spots.tif": ("ImageJ TIFF", [0.09413, 0.09413]),
        "tiff_odd/BigTIFFLong.tif": ("BigTIFF", None),
        "vendor/CMU-1-Small-Region.svs": ("SVS", [0.499, 0.499]),
    }
    for path, (name, size) in expected.items():
        if path in answers:  # parts of the collection may be kept elsewhere
            assert answers[path]["format"] == name, path
            found = answers[path]["pixel_size_um"]
            assert found == (size and pytest.approx(size, rel=1e-3)), path


def test_png_agrees_with_the_manifest(answers: dict[str, dict[str, Any]]) -> None:
    for path, row in manifest().items():
        match = re.match(r"OK (RGBA?|P|L|I;16) \((\d+), (\d+)\)", row["decoded"])
        if match is None:
            continue
        sizes = answers[path]["sizes"]
        assert (sizes["x"], sizes["y"]) == (int(match[2]), int(match[3])), path
        assert sizes["c"] == (3 if match[1] in ("RGB", "RGBA", "P") else 1), path
        assert answers[path]["dtype"] == ("uint16" if match[1] == "I;16" else "uint8"), path


def test_hostile_headers_are_refused_as_what_they_are(answers: dict[str, dict[str, Any]]) -> None:
    reasons = {path.split("/")[-1]: answer.get("reason") for path, answer in answers.items()}
    expected = {
        "claims_200000x200000.tif": "IMAGE_TOO_LARGE",
        "deflate_bomb_20000x20000.tif": "IMAGE_TOO_LARGE",
        "truncated_60pct.ome.tif": "TRUNCATED_IMAGE",
        "truncated_last_strip.tif": "TRUNCATED_IMAGE",
        "header_only.tif": "TRUNCATED_IMAGE",
        "html_error_page.tif": "NOT_AN_IMAGE",
        "zero_gi.tif": "EMPTY_IMAGE",
        "zip_path_traversal.zip": "UNSAFE_ARCHIVE",
        "png_named.tif": None,
    }
    for name, reason in expected.items():
        if name in reasons:  # parts of the collection may be kept elsewhere
            assert reasons[name] == reason, name
