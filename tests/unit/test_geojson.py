"""Outlines for QuPath, read back as GeoJSON and filled again."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from result_makers import ABOUT, discs, labelled, result_image, stack, write

from kiosk.exports import outlines
from kiosk.exports.geojson import QuPathGeoJson
from kiosk.testing import MemoryPlane

HOLES = "1111111 1.....1 1.111.1 1.1.1.1 1.111.1 1.....1 1111111"


def features_of(path: Path) -> list[dict[str, Any]]:
    collection = json.loads(path.read_text(encoding="utf-8"))
    assert collection["type"] == "FeatureCollection"
    return list(collection["features"])


def polygons_of(feature: dict[str, Any]) -> list[list[list[list[int]]]]:
    geometry = feature["geometry"]
    return (
        geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    )


def filled(features: list[dict[str, Any]], shape: tuple[int, int]) -> np.ndarray:
    """Labels by the rule that a pixel is inside when its centre is."""
    canvas = np.zeros(shape, np.uint32)
    for feature in features:
        for outer, *holes in polygons_of(feature):
            mask = np.zeros(shape, bool)
            for ring in (outer, *holes):
                # Four times enlarged, so that centres of pixels are points that cv2 can tell apart.
                large = np.zeros((shape[0] * 4, shape[1] * 4), np.uint8)
                cv2.fillPoly(large, [np.array(ring[:-1], np.int32) * 4], 1)
                mask ^= large[2::4, 2::4] > 0
            canvas[mask] = int(feature["properties"]["name"])
    return canvas


def signed_area(ring: list[list[int]]) -> float:
    x, y = np.array(ring).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


@pytest.mark.parametrize("at_once", [1000, 3])
def test_filled_polygons_are_the_instances(tmp_path: Path, at_once: int) -> None:
    plane = MemoryPlane(discs(70, 90))
    path = write(QuPathGeoJson, tmp_path / "a b.geojson", [plane], result_image([plane]), at_once)
    features = features_of(path)
    assert len(features) == plane.instances
    np.testing.assert_array_equal(filled(features, plane.shape), plane.labels())


def test_windows_are_small_whatever_comes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlines, "WINDOW_PIXELS", 500)
    plane = MemoryPlane(discs(90, 70) + (discs(90, 70) == 0))  # instance 1 is all around
    path = write(QuPathGeoJson, tmp_path / "x.geojson", [plane], result_image([plane]))
    np.testing.assert_array_equal(filled(features_of(path), plane.shape), plane.labels())


def test_what_qupath_reads(tmp_path: Path) -> None:
    plane = MemoryPlane(labelled(".11. .11. 2..."))
    image = result_image([plane], pixel_size_um=(0.5, 0.25))
    first, second = features_of(write(QuPathGeoJson, tmp_path / "x", [plane], image))
    assert first["type"] == "Feature"
    assert first["geometry"] == {
        "type": "Polygon",
        "coordinates": [[[1, 0], [3, 0], [3, 2], [1, 2], [1, 0]]],
    }
    assert first["properties"] == {
        "objectType": "detection",
        "name": "1",
        "measurements": {"label": 1, "area_px": 4, "area_um2": 0.5},
    }
    assert uuid.UUID(first["id"]) != uuid.UUID(second["id"])


def test_ids_are_the_same_when_a_result_is_made_again(tmp_path: Path) -> None:
    plane = MemoryPlane(discs(40, 40))
    other = {**ABOUT, "model_version": "3"}
    ids = [
        {f["id"] for f in features_of(write(QuPathGeoJson, tmp_path / "x", [plane], image))}
        for image in (
            result_image([plane]),
            result_image([plane]),
            result_image([plane], about=other),
        )
    ]
    assert ids[0] == ids[1]
    assert ids[0].isdisjoint(ids[2])


def test_holes_and_pieces(tmp_path: Path) -> None:
    plane = MemoryPlane(labelled(HOLES))
    (feature,) = features_of(write(QuPathGeoJson, tmp_path / "x", [plane], result_image([plane])))
    assert feature["geometry"]["type"] == "MultiPolygon"
    assert [len(polygon) for polygon in polygons_of(feature)] == [2, 2]
    for outer, hole in polygons_of(feature):
        assert outer[0] == outer[-1]
        assert hole[0] == hole[-1]
        assert signed_area(outer) > 0 > signed_area(hole)
    np.testing.assert_array_equal(filled([feature], plane.shape), plane.labels())


def test_planes_of_a_stack(tmp_path: Path) -> None:
    planes = stack(discs(40, 50), t=2, z=3)
    features = features_of(write(QuPathGeoJson, tmp_path / "x", planes, result_image(planes)))
    assert len({feature["id"] for feature in features}) == len(features)
    for plane in planes:
        place = {"c": -1, "z": plane.z, "t": plane.t}
        here = [feature for feature in features if feature["geometry"]["plane"] == place]
        np.testing.assert_array_equal(filled(here, plane.shape), plane.labels())


def test_no_instances(tmp_path: Path) -> None:
    planes = [MemoryPlane(np.zeros((9, 9), np.uint32), t=t) for t in range(2)]
    assert features_of(write(QuPathGeoJson, tmp_path / "x", planes, result_image(planes))) == []


def test_empty_planes_between(tmp_path: Path) -> None:
    kinds = [discs(30, 30), np.zeros((30, 30), np.uint32), discs(30, 30)]
    planes = [MemoryPlane(labels, t=t) for t, labels in enumerate(kinds)]
    features = features_of(write(QuPathGeoJson, tmp_path / "x", planes, result_image(planes)))
    assert len(features) == 2 * planes[0].instances
