"""Outlines as GeoJSON for QuPath: one detection object per instance and plane.

Members are those that QuPath reads and writes: `objectType`, `name` and `measurements` among the
properties of a feature, `plane` inside its geometry. Coordinates are pixels of the full
resolution; (0, 0) is the outer corner of the first pixel. c = -1 means all channels.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kiosk.exports.outlines import traced
from kiosk.exports.writer import LabelPlane, ResultImage, Table, Writer
from kiosk.imaging.polygons import Rings

ALL_CHANNELS = -1


class QuPathGeoJson(Writer):
    """A FeatureCollection, written feature by feature."""

    def __init__(self, path: Path, image: ResultImage) -> None:
        super().__init__(path, image)
        self._file = path.open("w", encoding="utf-8")
        self._file.write('{"type":"FeatureCollection","features":[')
        self._encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
        # Ids differ between results but are the same when a result is made again.
        known = [image.stem, *(f"{key}={text}" for key, text in (image.about or {}).items())]
        self._ids = uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(known)).int >> 48 << 48
        self._count = 0

    def add_instances(self, plane: LabelPlane, boxes: Table) -> None:
        for rings in traced(plane, boxes):
            begun = self._count > 0
            text = ",\n".join(map(self._encode, self._features(plane, rings)))
            if text:
                self._file.write((",\n" if begun else "\n") + text)

    def _features(self, plane: LabelPlane, rings: Rings) -> Iterator[dict[str, Any]]:
        points, first = rings.points.tolist(), rings.first.tolist()
        place = {"plane": {"c": ALL_CHANNELS, "z": plane.z, "t": plane.t}}
        # Objects without a plane are on the first one.
        sizes = self.image.whole_sizes
        place = place if sizes["t"] * sizes["z"] > 1 else {}
        size = self.image.pixel_size_um
        for label, area_px, numbered in rings.instances():
            self._count += 1
            # Closed: the last point of a ring is its first.
            polygons = [
                [[*points[first[n] : first[n + 1]], points[first[n]]] for n in polygon]
                for polygon in numbered
            ]
            shape = (
                {"type": "Polygon", "coordinates": polygons[0]}
                if len(polygons) == 1
                else {"type": "MultiPolygon", "coordinates": polygons}
            )
            measurements: dict[str, float] = {"label": label, "area_px": area_px}
            if size is not None:
                measurements["area_um2"] = area_px * size[0] * size[1]
            yield {
                "type": "Feature",
                "id": str(uuid.UUID(int=self._ids + self._count)),
                "geometry": shape | place,
                "properties": {
                    "objectType": "detection",
                    "name": str(label),
                    "measurements": measurements,
                },
            }

    def close(self) -> None:
        self._file.write("\n]}\n")
        self._file.close()

    def discard(self) -> None:
        self._file.close()
