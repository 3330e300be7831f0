"""The client library: what a program may ask for, against a kiosk of fakes behind real gRPC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from spots import spots, tiff, zipped

from kiosk._proto import kiosk_pb2 as pb
from kiosk.client import AsyncKiosk
from kiosk.errors import AlreadyExists, InvalidRequest, NotFound
from kiosk.exports import FORMATS
from kiosk.segmentation import Segmentation


def sent(run: dict[str, object]) -> dict[str, object]:
    """What the caller asked of the reading."""
    return run["image"]["as_asked"]  # type: ignore[index,return-value]


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """Six planes that the file calls time points."""
    path = tmp_path / "stack.tif"
    path.write_bytes(tiff(np.stack([spots(4)] * 6), imagej=True, metadata={"axes": "TYX"}))
    return path


async def test_axes_and_sizes_replace_what_the_file_says(client: AsyncKiosk, stack: Path) -> None:
    result = await client.segment(
        stack, model="bright", axes="zyx", pixel_size_um=0.5, z_step_um=2, volume=True
    )
    assert sent(result.run) == {"axes": "ZYX", "pixel_size_um": 0.5, "z_step_um": 2.0}
    assert result.run["image"]["sizes"]["z"] == 6
    assert result.labels.max() == 4
    assert result.table["planes"].tolist() == [6] * 4
    assert result.table["volume_um3"] == pytest.approx(150 * 6 * 0.25 * 2.0)


async def test_an_array_of_a_volume_is_a_stack_along_z(client: AsyncKiosk) -> None:
    result = await client.segment(np.stack([spots(3)] * 5), model="bright", volume=True)
    assert result.run["image"]["sizes"]["z"] == 5
    assert result.labels.max() == 3


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"axes": "QYX"}, "BAD_AXES"),
        ({"axes": "CTZ"}, "BAD_AXES"),
        ({"pixel_size_um": -1.0}, "BAD_PIXEL_SIZE"),
        ({"series": -1}, "SERIES_NOT_FOUND"),
        ({"region": (0, 0, 10.5, 10)}, "BAD_REGION"),
        ({"region": (0, 0, 10)}, "BAD_REGION"),
        ({"region": (0, 0, 2**40, 10)}, "BAD_REGION"),
        ({"region": (0, 0, 101, 120)}, "BAD_REGION"),
        ({"region": (5, 5, 5, 9)}, "BAD_REGION"),
        ({"formats": ["labels", "gif"]}, "UNKNOWN_FORMAT"),
        ({"formats": "gif"}, "UNKNOWN_FORMAT"),
        ({"series": 3}, "SERIES_NOT_FOUND"),
        ({"member": "a.tif"}, "MEMBER_NOT_FOUND"),
        ({"volume": True}, "NOT_A_STACK"),
        ({"within": "uploads/nothere"}, "NOT_FOUND"),
        ({"within": "/no/such/mask.tif"}, "CANNOT_READ_FILE"),
    ],
)
async def test_what_cannot_be_meant_gets_one_sentence(
    client: AsyncKiosk, tmp_path: Path, options: dict[str, object], reason: str
) -> None:
    path = tmp_path / "image.tif"
    path.write_bytes(tiff(spots()))
    with pytest.raises(InvalidRequest) as caught:
        await client.segment(path, model="bright", **options)  # type: ignore[arg-type]
    assert caught.value.reason == reason
    assert caught.value.message.endswith(".")
    assert "\n" not in caught.value.message


async def test_wrong_axes_are_refused_before_anything_is_sent(client: AsyncKiosk) -> None:
    with pytest.raises(InvalidRequest, match="are not an order of axes"):
        await client.segment("/a/file/that/is/not/there.tif", axes="QYX")


async def test_member_and_series(client: AsyncKiosk, tmp_path: Path) -> None:
    path = tmp_path / "plate.zip"
    path.write_bytes(zipped({"a/1.tif": tiff(spots(1)), "a/2.tif": tiff(spots(2))}))
    with pytest.raises(InvalidRequest) as caught:
        await client.segment(path, model="bright")
    assert caught.value.reason == "MEMBER_NEEDED"
    result = await client.segment(path, model="bright", member="a/2.tif")
    assert (result.labels.max(), sent(result.run)) == (2, {"member": "a/2.tif"})
    assert "2_labels.tif" in result.files

    two = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(two, ome=True) as writer:
        for count in (3, 4):
            writer.write(spots(count), metadata={"axes": "YX"}, photometric="minisblack")
    assert (await client.segment(two, model="bright", series=1)).labels.max() == 4


async def test_region_of_a_plane(client: AsyncKiosk) -> None:
    result = await client.segment(spots(5), model="bright", region=(0, 0, 38, 120))
    assert result.labels.shape == (100, 120)
    assert result.labels.max() == 2
    assert result.run["region"]["max_y_px"] == 38


async def test_one_plane_of_a_movie(client: AsyncKiosk) -> None:
    movie = np.stack([spots(count) for count in (2, 4, 3)])
    result = await client.segment(movie, model="bright", plane=(1, 0))
    assert (result.labels.shape, result.labels.max()) == ((100, 120), 4)
    assert result.run["plane"] == {"t": 1, "z": 0}
    with pytest.raises(InvalidRequest, match="There is no plane"):
        await client.segment(movie, model="bright", plane=(3, 0))
    with pytest.raises(InvalidRequest, match="two whole numbers"):
        await client.segment(movie, model="bright", plane=(0, 0, 0))  # type: ignore[arg-type]


async def test_a_preview_and_how_to_find_jobs(client: AsyncKiosk) -> None:
    upload = await client.upload(spots(5))
    asked = {"model": "bright", "region": (0, 0, 38, 120), "plane": (0, 0)}
    preview = await client.submit(upload, preview=True, **asked)
    await client.wait(preview.name)
    names = {item.file_name for item in await client.results(preview.name)}
    assert names == {"array_labels.tif", "array_instances.csv", "array_run.json"}
    job = await client.submit(upload, **asked)
    await client.wait(job.name)
    assert [item.name for item in await client.jobs()] == [job.name]
    assert [item.name for item in await client.jobs(search="ARRAY bright")] == [job.name]
    assert await client.jobs(search="no such") == []
    assert await client.jobs(state="failed") == []
    with pytest.raises(InvalidRequest, match="queued, running"):
        await client.jobs(state="lost")


async def test_numpy_integers_are_whole_numbers(client: AsyncKiosk) -> None:
    edges = tuple(np.array([0, 0, 38, 120]))
    assert (await client.segment(spots(5), model="bright", region=edges)).labels.max() == 2


@pytest.mark.parametrize("formats", [("labels", "qc"), ["qc", "labels"], "labels,qc"])
async def test_only_the_formats_asked_for(client: AsyncKiosk, formats: list[str] | str) -> None:
    result = await client.segment(spots(2), model="bright", formats=formats)
    assert sorted(result.files) == ["array_labels.tif", "array_qc.png", "array_run.json"]
    with pytest.raises(NotFound, match="name its format"):
        _ = result.table


async def test_all_formats_at_once(client: AsyncKiosk) -> None:
    result = await client.segment(spots(2), model="bright", formats="all")
    endings = {item.ending for item in FORMATS.values() if not item.missing} | {"_run.json"}
    assert {f"array{ending}" for ending in endings} == set(result.files)


# ---------------------------------------------------------------------- masks


def upper_half(dtype: str) -> np.ndarray:
    mask = np.zeros((100, 120), dtype)
    mask[:38] = 1
    return mask


async def test_a_version_may_follow_the_model(client: AsyncKiosk) -> None:
    result = await client.segment(spots(2), model="bright:1")
    assert result.run["model"]["version"] == "1"


async def test_only_inside_of_a_mask_however_it_is_given(
    client: AsyncKiosk, tmp_path: Path
) -> None:
    path = tmp_path / "mask.tif"
    path.write_bytes(tiff(upper_half("uint8")))
    uploaded = await client.upload(path)
    for within in (path, str(path), uploaded, upper_half("uint16"), upper_half("bool")):
        result = await client.segment(spots(5), model="bright", within=within)
        assert result.labels.max() == 2
        assert result.table["within"].tolist() == [1, 1]


async def test_a_mask_array_has_the_axes_of_its_image(client: AsyncKiosk) -> None:
    image = np.stack([np.stack([spots(5)] * 2)] * 3)  # z, c
    masks = np.stack([upper_half("uint8")] * 3)
    result = await client.segment(
        image, model="bright", axes="ZCYX", channel=0, within=masks, volume=True
    )
    assert result.labels.max() == 2
    stack = np.stack([spots(5)] * 3)
    again = await client.segment(stack, model="bright", within=masks, volume=True)
    assert again.labels.max() == 2


async def test_masks_that_are_none(client: AsyncKiosk) -> None:
    upload = await client.upload(spots())
    with pytest.raises(InvalidRequest) as caught:
        await client.submit(upload, model="bright", within=upload)
    assert caught.value.reason == "BAD_MASK"


# ---------------------------------------------------------------------- folders and addresses


def ome_zarr(folder: Path, image: np.ndarray) -> Path:
    """An OME-Zarr 0.4 of one plane."""
    group = zarr.open_group(folder, mode="w", zarr_format=2)
    array = group.create_array("0", shape=image.shape, dtype=image.dtype, chunks=(64, 64))
    array[...] = image
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    scale = [{"type": "scale", "scale": [0.5, 0.5]}]
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": axes,
            "datasets": [{"path": "0", "coordinateTransformations": scale}],
        }
    ]
    return folder


async def test_an_ome_zarr_folder_is_sent_as_a_whole(client: AsyncKiosk, tmp_path: Path) -> None:
    folder = ome_zarr(tmp_path / "cells.ome.zarr", spots(3))
    result = await client.segment(folder, model="bright")
    assert result.labels.max() == 3
    assert result.run["image"]["format"] == "OME-Zarr"
    assert result.table["area_um2"].tolist() == [150 * 0.25] * 3


async def test_a_folder_that_is_no_image(client: AsyncKiosk, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="not an OME-Zarr folder"):
        await client.upload(tmp_path)


async def test_an_image_where_it_is(client: AsyncKiosk, allowed: Path, tmp_path: Path) -> None:
    (allowed / "cells.tif").write_bytes(tiff(spots(4)))
    result = await client.segment((allowed / "cells.tif").as_uri(), model="bright")
    assert (result.labels.max(), "cells_labels.tif" in result.files) == (4, True)
    folder = ome_zarr(allowed / "plate.ome.zarr", spots(2))
    assert (await client.segment(folder.as_uri() + "/", model="bright")).labels.max() == 2

    (tmp_path / "secret.tif").write_bytes(tiff(spots()))
    (allowed / "link.tif").symlink_to(tmp_path / "secret.tif")
    for path in (tmp_path / "secret.tif", allowed / "link.tif"):
        with pytest.raises(InvalidRequest) as caught:
            await client.segment(path.as_uri(), model="bright")
        assert caught.value.reason == "URL_NOT_ALLOWED"


async def test_an_address_with_nothing_behind_it(client: AsyncKiosk, allowed: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await client.segment((allowed / "nothere.tif").as_uri(), model="bright")
    assert "nothere.tif" in caught.value.message


# ---------------------------------------------------------------------- inspecting


async def test_inspect_says_what_is_in_a_file(client: AsyncKiosk, stack: Path) -> None:
    upload = await client.upload(stack)
    (image,) = await client.inspect(upload, thumbnail_px=64)
    assert (image.format, image.axes, image.size_t, image.dtype) == (
        "ImageJ TIFF",
        "TYX",
        6,
        "uint16",
    )
    assert image.thumbnail.startswith(b"\x89PNG")
    (again,) = await client.inspect(upload, reading=pb.ReadOptions(axes="ZYX"))
    assert (again.size_z, again.thumbnail) == (6, b"")


async def test_inspect_lists_members_with_their_errors(client: AsyncKiosk, tmp_path: Path) -> None:
    path = tmp_path / "plate.zip"
    bad = b"II*\0 nothing of a tiff"
    path.write_bytes(zipped({"f10.tif": tiff(spots()), "f2.tif": bad, "notes.txt": b"hello"}))
    upload = await client.upload(path)
    images = await client.inspect(upload)
    assert [image.reading.member for image in images] == ["f2.tif", "f10.tif"]
    assert [bool(image.error.message) for image in images] == [True, False]
    listed = await client.inspect(upload, list_only=True)
    assert [(image.reading.member, image.size_y) for image in listed] == [
        ("f2.tif", 0),
        ("f10.tif", 0),
    ]


async def test_thumbnails_of_many_images_fit_into_an_answer(
    client: AsyncKiosk, tmp_path: Path
) -> None:
    noise = np.random.default_rng(1).integers(0, 2**16, (30, 512, 512), np.uint16)
    path = tmp_path / "noise.zip"
    path.write_bytes(zipped({f"{i}.tif": tiff(plane) for i, plane in enumerate(noise[:18])}))
    images = await client.inspect(await client.upload(path), thumbnail_px=512)
    shown = [bool(image.thumbnail) for image in images]
    assert len(images) == 18
    assert shown[0]
    assert not shown[-1]


@pytest.mark.parametrize("thumbnail_px", [-1, 513])
async def test_thumbnails_have_a_largest_size(client: AsyncKiosk, thumbnail_px: int) -> None:
    upload = await client.upload(spots())
    with pytest.raises(InvalidRequest, match="up to 512 pixels"):
        await client.inspect(upload, thumbnail_px=thumbnail_px)


# ---------------------------------------------------------------------- results on disk


async def test_downloads_replace_nothing_unasked(client: AsyncKiosk, tmp_path: Path) -> None:
    job = (await client.segment(spots(2), model="bright")).job_id
    first = await client.download(job, tmp_path / "new" / "folder", stem="mine")
    assert {path.name for path in first} >= {"mine_labels.tif", "mine_run.json"}
    first[0].write_bytes(b"changed")
    with pytest.raises(AlreadyExists):
        await client.download(job, tmp_path / "new" / "folder", stem="mine")
    assert first[0].read_bytes() == b"changed"
    await client.download(job, tmp_path / "new" / "folder", stem="mine", overwrite=True)
    assert first[0].read_bytes() != b"changed"
    assert not list((tmp_path / "new" / "folder").glob(".*"))


def test_saving_replaces_nothing_unasked(tmp_path: Path) -> None:
    result = Segmentation("abc", {"a_labels.tif": b"1234", "a_run.json": b"{}"})
    result.save(tmp_path)
    with pytest.raises(AlreadyExists, match="overwrite=True"):
        result.save(tmp_path)
    assert len(result.save(tmp_path, overwrite=True)) == 2


def test_a_result_in_a_notebook_is_one_line() -> None:
    shown = repr(Segmentation("abc", {"a_labels.tif": bytes(5_000_000)}))
    assert shown == "<Segmentation of job abc: a_labels.tif (5,000,000 bytes)>"


async def test_links_inside_of_an_ome_zarr_do_not_lead_out(
    client: AsyncKiosk, allowed: Path, tmp_path: Path
) -> None:
    outside = ome_zarr(tmp_path / "secret.ome.zarr", spots(3))
    folder = ome_zarr(allowed / "plate.ome.zarr", np.zeros((100, 120), np.uint16))
    for chunk in ("0.0", "1.0"):
        (folder / "0" / chunk).unlink(missing_ok=True)
        (folder / "0" / chunk).symlink_to(outside / "0" / chunk)
    assert (await client.segment(folder.as_uri(), model="bright")).labels.max() == 0


@pytest.mark.parametrize(
    "dtype", [bool, np.int64, np.uint64, np.int8, np.float16, np.longdouble, ">u2"]
)
async def test_arrays_of_any_type_of_numbers(client: AsyncKiosk, dtype: object) -> None:
    image = (spots(4) > 0).astype(dtype)
    mask = np.ones(image.shape, dtype)
    assert (await client.segment(image, model="bright", within=mask)).labels.max() == 4


async def test_arrays_that_are_no_numbers(client: AsyncKiosk) -> None:
    for image in (spots(4).astype(complex), spots(4).astype(str), spots(4).astype(object)):
        with pytest.raises(InvalidRequest, match="is no image; give whole numbers or floats"):
            await client.segment(image, model="bright")


async def test_64_bit_keeps_its_values(client: AsyncKiosk) -> None:
    for low, high in ((-5, 2**31 - 1), (-1, 2**40)):
        image = np.where(spots(4) > 0, high, low)
        result = await client.segment(image, model="bright")
        assert set(result.table["max_intensity"]) == {high}
