"""The lineage as GEFF, the exchange format for tracking graphs: a Zarr (format 2) in one zip.

    .zattrs                                     axes, properties, units
    nodes/ids, nodes/props/NAME/values          a node per cell and frame
    edges/ids, edges/props/confidence/values    a link per edge, from the earlier to the later node

Written with zarr itself: the geff package would hold numcodecs back to an older version.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from kiosk.exports.stored_zip import StoredZip
from kiosk.exports.tracks.geff_metadata import SPACE_COLUMNS, metadata
from kiosk.exports.tracks.writer import TrackedFrame, TrackWriter
from kiosk.exports.writer import ResultImage
from kiosk.imaging.columns import describe_column
from kiosk.imaging.doubtful_links import previous_instances
from kiosk.imaging.lineage import Lineage, tracklets

CHUNK_ROWS = 65_536
_INTEGER, _FLOAT = np.dtype(np.int64), np.dtype(np.float64)
_OF_TRACK = ("track_id", "root_id", "parent_id", "generation")
_LEFT_OUT = ("t", "z", "label", "track_id", *SPACE_COLUMNS.values())


class Geff(TrackWriter):
    """Nodes are numbered as the instances of the lineage; rows wait until a chunk is full."""

    def __init__(self, path: Path, image: ResultImage, lineage: Lineage) -> None:
        super().__init__(path, image, lineage)
        import zarr

        self._folder = tempfile.TemporaryDirectory(dir=path.parent)
        self._root = zarr.open_group(self._folder.name, mode="w", zarr_format=2)
        self._dtypes = _node_dtypes(image)
        self._nodes = self._root.create_group("nodes")
        properties = self._nodes.create_group("props")
        count = (len(lineage.frame),)
        self._arrays = {"": _array(self._nodes, "ids", count, np.dtype(np.uint64))}
        for name, dtype in self._dtypes.items():
            group = properties.create_group(name)
            self._arrays[name] = _array(group, "values", count, dtype)
        self._of_track = {name: getattr(lineage, name) for name in _OF_TRACK}
        self._of_track["tracklet_id"] = tracklets(lineage)
        self._waiting: list[dict[str, np.ndarray]] = []
        self._rows = self._written = 0
        self._ranges: dict[str, tuple[float, float]] = {}

    def add_frame(self, frame: TrackedFrame) -> None:
        instances = frame.instances_in(self.lineage)
        if not len(instances):
            return
        rows = self.lineage.rows_of(np.asarray(frame.table["track_id"]))
        found: dict[str, np.ndarray] = {"": instances, "t": np.full(len(rows), frame.t)}
        found |= {name: column[rows] for name, column in self._of_track.items()}
        for name in self._dtypes.keys() - found.keys():
            found[name] = np.asarray(frame.table[SPACE_COLUMNS.get(name, name)])
        for axis in ("t", *SPACE_COLUMNS):
            if axis in found:
                low, high = self._ranges.get(axis, (np.inf, -np.inf))
                values = found[axis]
                self._ranges[axis] = min(low, float(values.min())), max(high, float(values.max()))
        self._waiting.append(found)
        self._rows += len(rows)
        if self._rows >= CHUNK_ROWS:
            self._write()

    def _write(self) -> None:
        """Put the rows that wait behind those that are written."""
        rows = slice(self._written, self._written + self._rows)
        for name, array in self._arrays.items():
            array[rows] = np.concatenate([found[name] for found in self._waiting])
        self._written, self._waiting, self._rows = rows.stop, [], 0

    def close(self) -> None:
        if self._waiting:
            self._write()
        if self._written != len(self.lineage.frame):
            raise ValueError("the frames have fewer rows than the lineage has instances")
        self._write_edges()
        self._root.attrs["geff"] = metadata(self.image, self._dtypes, self._ranges)
        _zip(Path(self._folder.name), self.path)
        self._folder.cleanup()

    def _write_edges(self) -> None:
        previous = previous_instances(self.lineage)
        target = np.flatnonzero(previous >= 0)
        confidence = self.lineage.confidence[target]
        edges = self._root.create_group("edges")
        ids = _array(edges, "ids", (len(target), 2), np.dtype(np.uint64))
        group = edges.create_group("props").create_group("confidence")
        values = _array(group, "values", (len(target),), np.dtype(np.float32))
        missing = _array(group, "missing", (len(target),), np.dtype(bool))
        if len(target):
            ids[:] = np.stack([previous[target], target], axis=1)
            values[:] = np.nan_to_num(confidence)
            missing[:] = np.isnan(confidence)

    def discard(self) -> None:
        self._folder.cleanup()


def _node_dtypes(image: ResultImage) -> dict[str, np.dtype[Any]]:
    """Types of the properties of a node, by name: axes, family, then what was measured."""
    axes = [axis for axis, column in SPACE_COLUMNS.items() if column in image.columns]
    found = {"t": _INTEGER} | dict.fromkeys(axes, _FLOAT)
    found |= dict.fromkeys((*_OF_TRACK, "tracklet_id"), _INTEGER)
    for name in image.columns:
        if name not in _LEFT_OUT:
            found[name] = _INTEGER if describe_column(name).is_whole else _FLOAT
    return found


def _array(group: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    chunks = (max(1, min(CHUNK_ROWS, shape[0])), *shape[1:])
    return group.create_array(name, shape=shape, dtype=dtype, chunks=chunks, fill_value=0)


def _zip(folder: Path, path: Path) -> None:
    archive = StoredZip(path)
    try:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            archive.add(file.relative_to(folder).as_posix(), file.read_bytes())
        archive.close()
    finally:
        archive.discard()
