"""Segmentation from file to results, over fakes of the queue, the store and Triton."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from segmented import count, kiosk_with, ome, segmented, spots, tiff

from kiosk.adapters.image_files import ImageFileReader
from kiosk.callers import LOCAL
from kiosk.errors import InvalidRequest, PermanentError, TransientError
from kiosk.imaging.matching import count_matches, intersection_over_union
from kiosk.imaging.measurements import INTENSITY_COLUMNS, SHAPE_COLUMNS
from kiosk.pipelines.context import SegmentationOptions
from kiosk.pipelines.tensors import head_maps
from kiosk.request import SegmentationRequest
from kiosk.settings import LimitSettings
from kiosk.testing import FakeInference, FakeKiosk, MemoryQueue, make_card, make_kiosk

# ---------------------------------------------------------------- shapes


async def test_single_plane() -> None:
    image = spots((90, 110))
    found = await segmented(tiff(image))
    assert ("YX", (90, 110), np.uint16) == (found.axes, found.labels.shape, found.labels.dtype)
    assert count(image) == found.counts == [found.labels.max()]
    np.testing.assert_array_equal(image > 0, found.labels > 0)
    assert found.overlay.shape == (90, 110, 3)


@pytest.mark.parametrize(
    ("axes", "shape", "label_axes"),
    [
        ("TYX", (3, 40, 50), "TYX"),
        ("ZYX", (4, 40, 50), "ZYX"),
        ("TZYX", (2, 3, 40, 50), "TZYX"),
        ("TYX", (1, 40, 50), "YX"),
    ],
)
async def test_stacks_plane_by_plane(axes: str, shape: tuple[int, ...], label_axes: str) -> None:
    image = spots(shape, number=10)
    found = await segmented(ome(image, axes))
    assert label_axes == found.axes
    np.testing.assert_array_equal(image.squeeze() > 0, found.labels > 0)
    assert count(image) == found.counts
    sizes = {"t": 1, "z": 1, **{axis.lower(): n for axis, n in zip(axes, shape, strict=True)}}
    places = [(t, z) for t in range(sizes["t"]) for z in range(sizes["z"])]
    assert places == [(plane["t"], plane["z"]) for plane in found.run["planes"]]
    in_table = [(int(row["t"]), int(row["z"])) for row in found.rows]
    assert [place for place, n in zip(places, found.counts, strict=True) for _ in range(n)] == (
        in_table
    )


async def test_tiny_image() -> None:
    found = await segmented(tiff(np.zeros((1, 1), np.uint8)))
    assert found.labels.shape == (1, 1)


# ---------------------------------------------------------------- pieces


@pytest.mark.parametrize("shape", [(100, 300), (300, 100), (270, 290)])
async def test_tiles_give_the_same_as_one_piece(shape: tuple[int, int]) -> None:
    """The model of the fake takes 128 px at most, so these need several tiles."""
    image = spots(shape, seed=3, number=80)
    kiosk = kiosk_with()
    found = await segmented(tiff(image), kiosk)
    assert len(kiosk.inference.calls) > 1
    assert all(max(call[2:]) <= 128 for call in kiosk.inference.calls)
    np.testing.assert_array_equal(image > 0, found.labels > 0)
    assert count(image) == found.counts


@pytest.mark.parametrize("block_px", [64, 100, 150])
async def test_blocks_give_the_same_as_one_piece(block_px: int) -> None:
    image = ome(spots((2, 230, 260), seed=5, number=70), "TYX")
    whole = await segmented(image)
    blocks = await segmented(image, kiosk_with(block_px=block_px, block_halo_px=24))
    assert (whole.axes, whole.counts) == (blocks.axes, blocks.counts)
    for expected, labels in zip(whole.labels, blocks.labels, strict=True):
        matches = count_matches(intersection_over_union(expected, labels), 1.0)
        assert (matches.false_positives, matches.false_negatives) == (0, 0)
    assert len(whole.rows) == len(blocks.rows)

    def measured(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
        return sorted(tuple(row[name] for name in row if name != "label") for row in rows)

    assert measured(whole.rows) == measured(blocks.rows)


async def test_blocks_of_one_plane_share_their_intensity_limits() -> None:
    """A faint spot alone in its block must not look bright there."""
    image = np.zeros((64, 256), np.uint8)
    image[20:30, 20:30] = 250
    image[20:30, 220:230] = 60
    found = await segmented(tiff(image), kiosk_with(block_px=64, block_halo_px=8))
    assert found.counts == [1]
    assert found.labels[25, 25] == 1


async def test_parts_of_a_stack_may_come_in_any_order() -> None:
    image = spots((5, 30, 30), number=6)
    kiosk = kiosk_with()
    upload_id = await kiosk.upload(ome(image, "TYX"), "cells.tif")
    job = await kiosk.service.segment(upload_id=upload_id, model="bright", caller=LOCAL)
    consumer = kiosk.consumer()
    plan = await kiosk.queue.lease("c", 0)
    assert plan is not None
    await consumer.work(plan)
    leases = [await kiosk.queue.lease(f"c{i}", 0) for i in range(5)]
    for lease in reversed(leases):
        assert lease is not None
        await consumer.work(lease)
    await kiosk.work()
    (labels,) = [
        r
        for r in await kiosk.service.list_results(job.id, caller=LOCAL)
        if r.file_name.endswith(".tif")
    ]
    data = b"".join(
        [chunk async for chunk in await kiosk.service.read_result(labels, caller=LOCAL)]
    )
    np.testing.assert_array_equal(image > 0, tifffile.imread(io.BytesIO(data)) > 0)


# ---------------------------------------------------------------- results


async def test_table_measures_the_pixels_of_the_file() -> None:
    image = np.zeros((20, 30), np.uint16)
    image[5:9, 10:16] = 2000
    image[15:20, 0:3] = 3000
    found = await segmented(tiff(image))
    assert ["t", "z", *SHAPE_COLUMNS, *INTENSITY_COLUMNS] == found.header
    first, second = found.rows
    assert (
        second
        | {
            "major_axis_px": "5.6568542",
            "minor_axis_px": "3.2659863",
            "orientation_rad": "0",
            "eccentricity": "0.81649658",
            "perimeter_px": "12",
            "solidity": "1",
            "sd_intensity": "0",
            "min_intensity": "3000",
            "max_intensity": "3000",
            "median_intensity": "3000",
            "total_intensity": "45000",
        }
        == second
    )
    assert (
        second
        | {
            "t": "0",
            "z": "0",
            "label": "2",
            "y_px": "17",
            "x_px": "1",
            "area_px": "15",
            "min_y_px": "15",
            "min_x_px": "0",
            "max_y_px": "20",
            "max_x_px": "3",
            "mean_intensity": "3000",
            "touches_border": "1",
        }
        == second
    )
    assert (
        first["y_px"],
        first["x_px"],
        first["area_px"],
        first["mean_intensity"],
        first["touches_border"],
    ) == ("6.5", "12.5", "24", "2000", "0")


async def test_large_totals_keep_all_their_digits() -> None:
    image = np.zeros((60, 60), np.uint16)
    image[5:50, 5:50] = 65_535
    image[10, 10] = 65_534
    found = await segmented(tiff(image))
    assert found.rows[0]["total_intensity"] == str(45 * 45 * 65_535 - 1)


async def test_run_record_says_how_it_was_made() -> None:
    data = ome(
        spots((2, 40, 50), number=5),
        "TYX",
        PhysicalSizeX=0.5,
        PhysicalSizeXUnit="µm",
        PhysicalSizeY=0.25,
        PhysicalSizeYUnit="µm",
    )
    found = await segmented(data, model_version="1", parameters={"min_area_px": 2.0})
    run = found.run
    assert run["model"] == {"name": "bright", "version": "1", "weights_sha256": ""}
    assert (
        run["parameters"]["min_area_px"],
        run["parameters"]["smoothing_px"],
        run["parameters"]["foreground_threshold"],
    ) == (2.0, 0.0, 0.5)
    assert run["image"]["sizes"] == {"t": 2, "c": 1, "z": 1, "y": 40, "x": 50}
    assert (
        run["image"]["file_name"],
        run["image"]["dtype"],
        run["image"]["pixel_size_um"],
    ) == ("cells.tif", "uint8", [0.25, 0.5])
    assert sum(found.counts) == run["instances"] == len(found.rows)
    assert {"read", "inference", "instances"} == set(run["seconds"]["in_parts"])
    assert {"python", "numpy"} <= set(run["software"])


async def test_labels_keep_the_pixel_size() -> None:
    data = ome(spots((40, 50)), "YX", PhysicalSizeX=0.5, PhysicalSizeY=0.25)
    found = await segmented(data)
    assert 'PhysicalSizeX="0.5"' in found.ome_xml
    assert 'PhysicalSizeY="0.25"' in found.ome_xml


async def test_overlay_outlines_the_instances_in_colour() -> None:
    image = np.zeros((60, 60), np.uint8)
    image[20:40, 20:40] = 200
    overlay = (await segmented(tiff(image))).overlay.astype(int)
    coloured = np.ptp(overlay, axis=2) > 60  # JPEG lets a little colour spread
    assert coloured[20, 30]
    assert not coloured[30, 30]
    assert not coloured[:18].any()


async def test_large_picture_is_shrunk() -> None:
    image = np.zeros((20, 3000), np.uint8)
    found = await segmented(tiff(image))
    assert max(found.overlay.shape) == 1600


@pytest.mark.parametrize(
    ("file_name", "stem"),
    [("a, b/../c.ome.tif", "c.ome"), ("漢" * 300 + ".tif", "漢" * 40), ("..", "image")],
)
async def test_result_names_are_safe(file_name: str, stem: str) -> None:
    found = await segmented(tiff(np.zeros((9, 9), np.uint8)), file_name=file_name, stem=stem)
    endings = ("instances.csv", "labels.tif", "overlay.jpg", "run.json")
    assert [f"{stem}_{ending}" for ending in endings] == found.names


# ---------------------------------------------------------------- content


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
async def test_all_black_has_no_instances(dtype: Any) -> None:
    """A plane without contrast is a result, not an error."""
    found = await segmented(tiff(np.zeros((50, 60), dtype)))
    assert (found.counts, found.labels.max(), found.rows) == ([0], 0, [])


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.uint16, np.uint32, np.int16, np.float32, np.float64]
)
async def test_every_dtype_gives_the_same_labels(dtype: Any) -> None:
    image = spots((60, 70), number=15)
    found = await segmented(tiff(image.astype(dtype)))
    np.testing.assert_array_equal(image > 0, found.labels > 0)


async def test_float_with_nan() -> None:
    """A plane with missing pixels, as stitching microscopes make them."""
    image = spots((60, 70), number=15).astype(np.float32) / 255
    image[:10] = np.nan
    found = await segmented(tiff(image))
    np.testing.assert_array_equal(np.nan_to_num(image) > 0, found.labels > 0)
    assert all(np.isfinite(float(row["mean_intensity"])) for row in found.rows)


async def test_all_nan() -> None:
    found = await segmented(tiff(np.full((20, 20), np.nan, np.float32)))
    assert found.counts == [0]


async def test_colour_image_goes_in_whole() -> None:
    image = np.repeat(spots((50, 60), number=10)[..., None], 3, axis=2)
    kiosk = kiosk_with()
    found = await segmented(tiff(image, photometric="rgb"), kiosk)
    assert {3} == {call[1] for call in kiosk.inference.calls}
    assert found.axes == "YX"
    np.testing.assert_array_equal(image[..., 0] > 0, found.labels > 0)
    means = [float(found.rows[0][f"mean_intensity_{c}"]) for c in ("red", "green", "blue")]
    assert means[0] == means[1] == means[2]
    assert means[0] == pytest.approx(image[found.labels == 1].mean(), rel=1e-4)


@pytest.mark.parametrize(("channel", "index"), [("GFP", 1), ("dapi", 0), ("1", 1)])
async def test_one_chosen_channel(channel: str, index: int) -> None:
    image = np.stack([spots((50, 60), seed) for seed in (1, 2)])
    kiosk = kiosk_with()
    data = ome(image, "CYX", Channel={"Name": ["DAPI", "GFP"]})
    found = await segmented(data, kiosk, channel=channel)
    assert {1} == {call[1] for call in kiosk.inference.calls}
    np.testing.assert_array_equal(image[index] > 0, found.labels > 0)
    name = ["DAPI", "GFP"][index]
    assert [name] == found.run["image"]["channels"]
    assert f"Used channel {index} ({name})." in found.run["notes"]


async def test_parameters_of_the_caller_are_used() -> None:
    image = np.zeros((40, 40), np.uint8)
    image[5:7, 5:7] = 255
    image[20:30, 20:30] = 255
    assert (await segmented(tiff(image))).counts == [2]
    assert (await segmented(tiff(image), parameters={"min_area_px": 5.0})).counts == [1]


async def test_orientations_are_seen_and_turned_back() -> None:
    """The fake answers alike from every side, so the mean is what one view gives."""
    image = spots((50, 70), number=10)
    kiosk = kiosk_with()
    once = await segmented(tiff(image))
    found = await segmented(tiff(image), kiosk, parameters={"orientations": 8.0})
    np.testing.assert_array_equal(once.labels > 0, found.labels > 0)
    assert len(kiosk.inference.calls) == 8
    assert len({call[2:] for call in kiosk.inference.calls}) == 2
    assert found.run["parameters"]["orientations"] == 8


async def test_more_than_65535_instances_need_32_bits() -> None:
    image = np.zeros((520, 520), np.uint8)
    image[::2, ::2] = 255
    kiosk = kiosk_with()
    kiosk.inference.cards = [make_card(tile_px=1024)]
    found = await segmented(tiff(image), kiosk)
    assert np.uint32 == found.labels.dtype
    assert 260 * 260 == found.labels.max() == found.run["instances"]


# ---------------------------------------------------------------- heads


@pytest.mark.parametrize("head", ["boundary", "stars", "flows", "classes"])
@pytest.mark.parametrize("takes_limits", [True, False])
async def test_every_head_goes_all_the_way(head: str, takes_limits: bool) -> None:
    """Several tiles, maps of several types, one function of the card: which head."""
    image = np.zeros((200, 180), np.uint8)
    y, x = np.mgrid[:200, :180]
    for cy, cx in ((30, 40), (64, 90), (100, 30), (128, 128), (170, 60)):
        image[np.hypot(y - cy, x - cx) <= 11] = 250
    defaults = {"boundary_class": 2.0} if head == "classes" else {}
    card = make_card(head=head, postprocessing=defaults, takes_limits=takes_limits)
    kiosk = make_kiosk(ImageFileReader(LimitSettings()), inference=FakeInference([card]))
    found = await segmented(tiff(image), kiosk)
    _, truth = cv2.connectedComponents((image > 0).astype(np.uint8), connectivity=8)
    overlaps = intersection_over_union(truth, found.labels)
    assert count_matches(overlaps, 0.8).true_positives == 5 == found.labels.max()
    assert set(found.run["parameters"]) == {item.name for item in card.parameters}


@pytest.mark.parametrize(
    ("maps", "sentence"),
    [
        ({}, "does not give the map 'foreground'"),
        ({"foreground": np.zeros((1, 4, 4), np.int32)}, "is int32; it must be one of uint8"),
        ({"foreground": np.zeros((1, 1, 4, 4), np.uint8)}, "its axes must be batch x y x x"),
    ],
)
def test_answers_that_do_not_fit_the_head(maps: dict[str, np.ndarray], sentence: str) -> None:
    with pytest.raises(PermanentError, match=sentence):
        head_maps(make_card(), maps)


def test_names_of_the_pytorch_backend_are_understood() -> None:
    plane = np.zeros((1, 4, 4), np.uint8)
    found = head_maps(make_card(), {"foreground__0": plane, "distance__1": plane})
    assert list(found) == ["foreground", "distance"]


# ---------------------------------------------------------------- the right scale


def discs(diameter_px: int, shape: tuple[int, int] = (120, 150)) -> np.ndarray:
    """A grid of discs of one diameter on uint8 black."""
    pitch_px = 2 * diameter_px
    y, x = np.mgrid[: shape[0], : shape[1]]
    centre = diameter_px - 0.5
    distance = np.hypot(y % pitch_px - centre, x % pitch_px - centre)
    whole = (y // pitch_px < shape[0] // pitch_px) & (x // pitch_px < shape[1] // pitch_px)
    return np.where((distance <= diameter_px / 2) & whole, 200, 0).astype(np.uint8)


def sized_kiosk(**options: int) -> FakeKiosk:
    inference = FakeInference([make_card(network_diameter_px=20.0)])
    return make_kiosk(
        ImageFileReader(LimitSettings()),
        inference=inference,
        queue=MemoryQueue(retry_delay_s=0.0),
        options=SegmentationOptions(**options),
    )


async def test_measured_diameter_sets_the_scale() -> None:
    image = discs(10)
    kiosk = sized_kiosk()
    found = await segmented(tiff(image), kiosk)
    assert found.counts == count(image)
    scale = found.run["scale"]
    assert scale["diameter_source"] == "measured"
    assert scale["diameter_px"] == pytest.approx(10, abs=0.7)
    assert scale["scale"] == 2.0
    assert scale["network_diameter_px"] == 20
    assert any("about" in note and "diameter_px" in note for note in found.run["notes"])
    areas = [float(row["area_px"]) for row in found.rows]
    assert np.allclose(areas, (image > 0).sum() / len(areas), rtol=0.15)


async def test_given_diameter_needs_no_first_pass() -> None:
    kiosk = sized_kiosk()
    found = await segmented(tiff(discs(20)), kiosk, parameters={"diameter_px": 40.0})
    assert found.run["scale"]["scale"] == 0.5
    assert found.run["scale"]["diameter_source"] == "given"
    assert len(kiosk.inference.calls) == 1
    assert kiosk.inference.calls[0][2:] == (64, 80)  # 60 x 75 px, padded


async def test_fitting_size_leaves_the_pixels_alone() -> None:
    image = discs(20)
    found = await segmented(tiff(image), sized_kiosk())
    assert found.run["scale"]["scale"] == 1.0
    assert found.run["notes"] == []
    np.testing.assert_array_equal(image > 0, found.labels > 0)


async def test_nothing_found_in_the_first_pass_changes_nothing() -> None:
    found = await segmented(tiff(np.zeros((40, 40), np.uint8)), sized_kiosk())
    assert found.run["scale"]["diameter_source"] == "none"
    assert found.run["scale"]["scale"] == 1.0


async def test_a_first_pass_that_fails_is_tried_again() -> None:
    kiosk = sized_kiosk()
    kiosk.inference.failures = [TransientError("Triton is being restarted.")]
    found = await segmented(tiff(discs(10)), kiosk)
    assert found.run["scale"]["scale"] == 2.0


async def test_what_is_seen_enlarged_is_cut_into_smaller_blocks() -> None:
    image = discs(10, (200, 240))
    whole = await segmented(tiff(image), sized_kiosk())
    blocks = await segmented(tiff(image), sized_kiosk(block_px=200, block_halo_px=24))
    assert blocks.counts == whole.counts == count(image)
    found = count_matches(intersection_over_union(whole.labels, blocks.labels), 0.9)
    assert found.f1 == 1.0


async def test_lengths_in_maps_shrink_with_the_scale() -> None:
    """A star's rays are pixels of what the network saw, which was twice as large."""
    kiosk = sized_kiosk()
    defaults = {"min_area_px": 1.0}
    card = make_card(head="stars", network_diameter_px=20.0, postprocessing=defaults)
    kiosk.inference.cards = [card]
    image = discs(10)
    found = await segmented(tiff(image), kiosk, parameters={"diameter_px": 10.0})
    assert found.counts == count(image)
    areas = [float(row["area_px"]) for row in found.rows]
    assert np.median(areas) == pytest.approx((image > 0).sum() / len(areas), rel=0.25)


async def test_a_model_for_no_size_refuses_a_diameter() -> None:
    kiosk = kiosk_with()
    upload_id = await kiosk.upload(tiff(discs(10)), "cells.tif")
    with pytest.raises(InvalidRequest, match="does not say which diameter"):
        await kiosk.service.segment(
            upload_id=upload_id,
            model="bright",
            request=SegmentationRequest(postprocessing={"diameter_px": 10.0}),
            caller=LOCAL,
        )


async def test_many_maps_make_smaller_blocks() -> None:
    """32 rays of a block would take a gigabyte."""
    rays = make_card(map_bytes=10_000)
    kiosk = make_kiosk(ImageFileReader(LimitSettings()), inference=FakeInference([rays]))
    found = await segmented(tiff(spots((100, 120), number=8)), kiosk)
    assert found.run["blocks"]["block_px"] == 80
    assert found.counts == count(spots((100, 120), number=8))
