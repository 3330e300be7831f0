"""`kiosk segment` and `kiosk inspect` as they are typed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import typer.main
from click.testing import Result
from PIL import Image
from spots import spots, tiff, zipped
from typer.testing import CliRunner

from kiosk.cli import app
from kiosk.cli.asked import format_names, named_numbers, plane_place, rectangle, series_number
from kiosk.errors import InvalidRequest
from kiosk.exports import FORMATS
from kiosk.grpc_api import GrpcServer


def run(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, list(map(str, arguments)))


def message(result: Result) -> str:
    """The one sentence that the command would end with."""
    assert isinstance(result.exception, InvalidRequest), result.output
    return result.exception.message


Segment = Callable[..., Awaitable[Result]]


@pytest.fixture
def segment(server: GrpcServer) -> Segment:
    async def call(*arguments: str | Path) -> Result:
        address = ("--server", f"127.0.0.1:{server.port}", "--model", "bright")
        return await asyncio.to_thread(run, "segment", *arguments, *address)

    return call


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "cells.tif"
    path.write_bytes(tiff(spots(5)))
    return path


# ---------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("", None),
        ("100,200,30,40", (200, 100, 240, 130)),
        (" 1, 2, 3, 4 ", (2, 1, 6, 4)),
        ("0,0,1,1", (0, 0, 1, 1)),
    ],
)
def test_regions(text: str, edges: tuple[int, ...] | None) -> None:
    assert rectangle(text) == edges


@pytest.mark.parametrize(
    "text", ["1,2,3", "1,2,3,4,5", "1.5,2,3,4", "a,b,c,d", "1 2 3 4", "-1,0,5,5", "0,0,0,5", ","]
)
def test_regions_that_are_none(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"X,Y,WIDTH,HEIGHT in whole pixels, for example"):
        rectangle(text)


@pytest.mark.parametrize(
    ("text", "place"), [("", None), ("7", (7, 0)), ("7,3", (7, 3)), (" 0 , 12", (0, 12))]
)
def test_planes(text: str, place: tuple[int, int] | None) -> None:
    assert plane_place(text) == place


@pytest.mark.parametrize("text", ["1,2,3", "1.5", "a", "-1", "0,-1", ",", "1,"])
def test_planes_that_are_none(text: str) -> None:
    with pytest.raises(InvalidRequest, match="T,Z, counted from 0"):
        plane_place(text)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, ()),
        ([], ()),
        (["qc"], ("qc",)),
        (["labels, qc", "rois"], ("labels", "qc", "rois")),
        (["all"], ("all",)),
        (["labels,,"], ("labels",)),
    ],
)
def test_formats(given: list[str] | None, names: tuple[str, ...]) -> None:
    assert format_names(given) == names


def test_formats_that_are_none() -> None:
    with pytest.raises(
        InvalidRequest, match=r"There is no result format 'gif'\. The formats are: "
    ):
        format_names(["labels,gif"])


def test_parameters() -> None:
    assert named_numbers(["min_area_px=5", "a=1e-1"], 12.0) == {
        "diameter_px": 12.0,
        "min_area_px": 5.0,
        "a": 0.1,
    }
    assert named_numbers(None, 0.0) == {}
    for text in ("min_area_px", "min_area_px=", "min_area_px=ten", "=5=5"):
        with pytest.raises(InvalidRequest, match="NAME=NUMBER"):
            named_numbers([text], 0.0)


def test_series() -> None:
    assert [series_number(text) for text in ("", "all", "0", "12")] == [0, 0, 0, 12]
    with pytest.raises(InvalidRequest, match="or all"):
        series_number("first")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--axes", "QYX"], "are not an order of axes"),
        (["--series", "-1"], "counted from 0"),
        (["--format", "gif"], "no result format"),
        (["--region", "1,2"], "X,Y,WIDTH,HEIGHT"),
        (["--set", "x"], "NAME=NUMBER"),
        (["--overwrite", "--skip-existing"], "exclude each other"),
        (["nothere.tif"], "does not exist"),
    ],
)
def test_what_cannot_be_meant_needs_no_kiosk(
    image: Path, arguments: list[str], sentence: str
) -> None:
    assert sentence in message(run("segment", image, *arguments, "--server", "127.0.0.1:1"))


def test_help_is_in_groups_and_names_every_format() -> None:
    text = run("segment", "--help").output
    for heading in ("What to segment", "Reading the file", "Results"):
        assert heading in text
    words = set(text.replace(",", " ").replace(";", " ").replace(".", " ").split())
    assert set(FORMATS) <= words
    assert max(map(len, text.splitlines())) <= 100


def test_every_option_is_explained() -> None:
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        for option in command.params:
            assert getattr(option, "help", "") or option.param_type_name == "argument", (
                name,
                option.name,
            )


# ---------------------------------------------------------------------- segment


async def test_segment_with_everything(segment: Segment, image: Path, tmp_path: Path) -> None:
    mask = np.zeros((100, 120), np.uint8)
    mask[:53] = 1
    (tmp_path / "mask.tif").write_bytes(tiff(mask))
    out = tmp_path / "out"
    result = await segment(
        *(image, "--out", out, "--region", "0,0,120,38", "--within", tmp_path / "mask.tif"),
        *("--format", "labels,table", "--format", "qc", "--set", "min_area_px=2"),
        *("--pixel-size-um", "0.5", "--axes", "yx"),
    )
    assert result.exit_code == 0, result.output
    assert "done   cells.tif: 2 instances" in result.stdout
    assert result.stdout.rstrip().endswith(f"Results are in {out}.")
    assert sorted(path.name for path in out.iterdir()) == [
        "cells_instances.csv",
        "cells_labels.tif",
        "cells_qc.png",
        "cells_run.json",
    ]
    record = json.loads((out / "cells_run.json").read_text())
    assert record["parameters"]["min_area_px"] == 2
    assert record["image"]["as_asked"] == {"axes": "YX", "pixel_size_um": 0.5}


async def test_segment_a_stack_in_3d(segment: Segment, tmp_path: Path) -> None:
    (tmp_path / "s.tif").write_bytes(tiff(np.stack([spots(3)] * 4), photometric="minisblack"))
    result = await segment(
        tmp_path / "s.tif", "--3d", "--axes", "ZYX", "--z-step-um", "2", "--out", tmp_path / "out"
    )
    assert "3 instances in 3-D, from 4 planes" in result.stdout


async def test_segment_says_how_many_failed(segment: Segment, tmp_path: Path) -> None:
    path = tmp_path / "plate.zip"
    path.write_bytes(zipped({"a.tif": tiff(spots(1)), "b.tif": b"II*\0 nothing"}))
    result = await segment(path, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "1 of 2 images failed." in result.stderr
    again = await segment(path, "--out", tmp_path / "out", "--skip-existing")
    assert "left   plate.zip: a.tif: its results are there already" in again.stdout
    assert "Results are in" not in again.stdout


async def test_segment_an_address(segment: Segment, allowed: Path, tmp_path: Path) -> None:
    (allowed / "a b.tif").write_bytes(tiff(spots(2)))
    url = (allowed / "a b.tif").as_uri()
    result = await segment(url, "--within", url, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "a b_labels.tif").exists()


# ---------------------------------------------------------------------- inspect


def test_inspect_prints_what_a_file_is(tmp_path: Path) -> None:
    stack = np.zeros((3, 4, 2, 60, 90), np.uint16)
    metadata = {
        "axes": "TZCYX",
        "PhysicalSizeX": 0.65,
        "PhysicalSizeY": 0.65,
        "PhysicalSizeZ": 2.0,
        "TimeIncrement": 600.0,
        "Channel": {"Name": ["DAPI", "GFP [2]"]},
    }
    (tmp_path / "a.ome.tif").write_bytes(tiff(stack, ome=True, metadata=metadata))
    lines = [
        " ".join(line.split())
        for line in run("inspect", tmp_path / "a.ome.tif").stdout.splitlines()
    ]
    assert lines[0] == "a.ome.tif"
    for line in (
        "format OME-TIFF, uint16",
        "size 90 x 60 px, 4 z-planes, 3 time points, 2 channels",
        "axes in the file TZCYX",
        "channels 0: DAPI, 1: GFP [2]",
        "pixel size 0.65 µm",
        "z step 2 µm",
        "frame interval 600 s",
    ):
        assert line in lines


def test_inspect_takes_options_and_says_guesses(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    path.write_bytes(tiff(np.zeros((5, 40, 50), np.uint8), photometric="minisblack"))
    assert "taken as time points" in run("inspect", path).stdout
    asked = run("inspect", path, "--axes", "ZYX", "--z-step-um", "2").stdout
    assert "5 z-planes" in asked
    assert "taken as" not in asked


def test_inspect_several_files_as_json(tmp_path: Path, image: Path) -> None:
    (tmp_path / "bad.tif").write_bytes(b"hello, no image")
    (tmp_path / "plate.zip").write_bytes(
        zipped({"f10.tif": tiff(spots()), "f2.tif": tiff(spots())})
    )
    result = run("inspect", tmp_path, "--json")
    assert result.exit_code == 1  # one file cannot be read
    found = json.loads(result.stdout)
    assert [(Path(item["file"]).name, item.get("reading", {}).get("member")) for item in found] == [
        ("bad.tif", None),
        ("cells.tif", ""),
        ("plate.zip", "f2.tif"),
        ("plate.zip", "f10.tif"),
    ]
    assert found[0]["error"]["reason"] == "NOT_AN_IMAGE"
    assert "thumbnail" not in found[1]
    assert run("inspect", image).exit_code == 0


def test_inspect_writes_thumbnails(tmp_path: Path) -> None:
    path = tmp_path / "plate.zip"
    path.write_bytes(zipped({"b.tif": tiff(spots()), "a.tif": b"II*\0 nothing"}))
    result = run("inspect", path, "--thumbnails", tmp_path / "new" / "pictures", "--json")
    assert "wrote" in result.stderr
    json.loads(result.stdout)
    (picture,) = (tmp_path / "new" / "pictures").iterdir()
    assert picture.name == "plate_1.png"
    assert Image.open(picture).size == (120, 100)


def test_inspect_names_the_members_of_a_zip_and_what_becomes_of_them(tmp_path: Path) -> None:
    path = tmp_path / "plate.zip"
    path.write_bytes(zipped({"w/a.tif": tiff(spots()), "w/b.tif": b"II*\0 nothing"}))
    text = run("inspect", path).stdout
    assert text.count("w/a.tif") == 1
    assert "2 images. `kiosk segment` makes one job for each." in text


def test_inspect_what_is_not_there(tmp_path: Path) -> None:
    assert "does not exist" in message(run("inspect", tmp_path / "nothere.tif"))
    assert "There is no image in" in message(run("inspect", tmp_path))
