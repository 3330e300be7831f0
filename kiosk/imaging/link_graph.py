"""The graph of candidates as arrays: what a linking network sees, and the geometric score too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kiosk.imaging.candidates import Candidates, Frame
from kiosk.imaging.detections import Detections
from kiosk.imaging.edge_tables import edge_ranks, edge_table

# What is measured of nodes, edges and pairs, in the order of the features.
NODE_COLUMNS = (
    "size",
    "eccentricity",
    "long_axis",
    "brightness",
    "texture",
    "spacing",
    "border",
    "cut",
    "first_frame",
    "last_frame",
)
EDGE_COLUMNS = (
    "distance",
    "nearness",
    "distance_by_motion",
    "distance_by_source_spacing",
    "distance_by_target_spacing",
    "growth",
    "unlike_size",
    "brightening",
    "unlike_brightness",
    "unlike_texture",
    "unlike_eccentricity",
    "turn",
    "overlap",
    "gap",
    "rank_at_source",
    "rank_at_target",
    "motion",
    "border",
)
PAIR_COLUMNS = (
    "separation",
    "off_middle",
    "cosine",
    "size_of_both",
    "unlike_sizes",
    "unlike_brightness",
    "brightening",
    "along_mother",
    "along_daughters",
    "unlike_texture",
    "gap",
)
NODE_FEATURES, EDGE_FEATURES, PAIR_FEATURES = map(len, (NODE_COLUMNS, EDGE_COLUMNS, PAIR_COLUMNS))
NEIGHBOURS = 6
# Two daughters are looked for among so many nearest instances of the next frame.
DAUGHTERS = 4
# Nothing that is measured is larger than this many units; an outlier shall not drown the rest.
LARGEST = 8.0


def link_graph(
    frames: Sequence[Frame], found: Candidates, movie_frames: tuple[int, int]
) -> dict[str, np.ndarray]:
    """The arrays of a window, free of scale: lengths are in typical diameters.

    Args:
        frames: of the window; found: its candidates.
        movie_frames: numbers of the first and the last frame of the movie as far as known.

    Returns:
        node_features (n, NODE_FEATURES) float32 and patches (n, 2, y, x) uint8;
        edge_features (e, EDGE_FEATURES) float32, displacement (e, 3) float32 (z, y, x);
        source, target (e,) int64 places of nodes;
        incoming (n, i), outgoing (n, o) int64 places of a node's edges, filled up with e;
        neighbours (n, NEIGHBOURS) int64 nodes of the same frame, filled up with n;
        pairs (p, 2) int64 edges that would make a division, pair_features (p, PAIR_FEATURES).
        There is always at least one node, edge and pair to be handed over; where the window
        has none it is made of zeros.
    """
    nodes = _Nodes(frames, found)
    features = nodes.features(frames, found, movie_frames)
    offset = (nodes.positions[found.target] - nodes.positions[found.source]) / nodes.diameter
    outgoing = edge_table(found.source, len(found.frame), len(found))
    by_target = np.lexsort((found.distance_px, found.gap, found.target))
    incoming = edge_table(found.target, len(found.frame), len(found), by_target)
    pairs = _pairs(found)
    arrays = {
        "node_features": features,
        "patches": _concatenated([f.detections.patches for f in frames]),
        "edge_features": _edge_features(nodes, found, offset, by_target),
        "displacement": offset.astype(np.float32),
        "source": found.source,
        "target": found.target,
        "incoming": incoming,
        "outgoing": outgoing,
        "neighbours": _neighbours(frames, len(found.frame)),
        "pairs": pairs,
        "pair_features": _pair_features(nodes, found, offset, pairs),
    }
    # Servers and engines are at odds about axes of length 0.
    return {name: a if a.size or name == "patches" else _one(a) for name, a in arrays.items()}


class _Nodes:
    """Columns of all instances of a window, in typical diameters and relative to their frame."""

    def __init__(self, frames: Sequence[Frame], found: Candidates) -> None:
        self.diameter = found.diameter_px
        detections = [frame.detections for frame in frames]
        self.positions = _concatenated([frame.positions_px for frame in frames])
        self.area = np.maximum(_column(detections, "area_px"), 1) / self.diameter**2
        self.spacing = _concatenated([frame.spacing_px for frame in frames]) / self.diameter
        self.spacing = np.minimum(self.spacing, LARGEST)
        self.border = np.minimum(_column(detections, "border_px") / self.diameter, LARGEST)
        self.texture = np.clip(_column(detections, "texture"), 0, LARGEST)
        # Bleaching and uneven exposure: what counts is how bright the others of the frame are.
        self.brightness = np.clip(
            _concatenated([f.detections.brightness - _middle(f.detections) for f in frames]),
            -LARGEST,
            LARGEST,
        )
        variance = _column(detections, "moments_px2").reshape(-1, 3) / self.diameter**2
        # The pixels' own extent, or a single pixel would be a point.
        var_y, var_x, self.covariance = variance.T
        self.var_y, self.var_x = var_y + 0.005, var_x + 0.005
        spread = np.hypot((self.var_y - self.var_x) / 2, self.covariance)
        middle = (self.var_y + self.var_x) / 2
        self.axes = np.sqrt(middle + spread), np.sqrt(np.maximum(middle - spread, 1e-3))
        self.eccentricity = np.sqrt(np.maximum(0, 1 - (self.axes[1] / self.axes[0]) ** 2))
        # Twice the angle, as a vector: the axis of an ellipse has no direction.
        elongation = np.maximum(spread, 1e-6)
        self.axis = np.stack([(self.var_y - self.var_x) / 2, self.covariance]) / elongation
        self.axis *= self.eccentricity

    def features(
        self, frames: Sequence[Frame], found: Candidates, movie_frames: tuple[int, int]
    ) -> np.ndarray:
        medians = np.concatenate([np.full(len(f), _middle_area(f.detections)) for f in frames])
        first, last = movie_frames
        columns = (
            np.log(self.area * self.diameter**2 / np.maximum(medians, 1)),
            self.eccentricity,
            self.axes[0],
            self.brightness,
            self.texture,
            self.spacing / 4,
            np.minimum(self.border, 2),
            self.border <= 0,
            found.frame == first,
            found.frame == last,
        )
        return _side_by_side(columns)


def _edge_features(
    nodes: _Nodes, found: Candidates, offset: np.ndarray, by_target: np.ndarray
) -> np.ndarray:
    s, t = found.source, found.target
    distance = np.linalg.norm(offset, axis=1)
    motion = found.motion_px / nodes.diameter
    growth = np.log(nodes.area[t] / nodes.area[s])
    brighter = nodes.brightness[t] - nodes.brightness[s]
    columns = (
        distance,
        np.exp(-distance),
        distance / (motion + 0.1) / 4,
        distance / (nodes.spacing[s] + 0.1),
        distance / (nodes.spacing[t] + 0.1),
        growth,
        np.abs(growth),
        brighter,
        np.abs(brighter),
        np.abs(nodes.texture[t] - nodes.texture[s]),
        np.abs(nodes.eccentricity[t] - nodes.eccentricity[s]),
        np.linalg.norm(nodes.axis[:, t] - nodes.axis[:, s], axis=0),
        _ellipse_affinity(nodes, s, t, offset),
        found.gap - 1,
        edge_ranks(found.source, found.gap, np.arange(len(found))) / 4,
        edge_ranks(found.target, found.gap, by_target) / 4,
        np.full(len(found), motion),
        np.minimum(np.minimum(nodes.border[s], nodes.border[t]), 2),
    )
    return _side_by_side(columns)


def _ellipse_affinity(
    nodes: _Nodes, s: np.ndarray, t: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    """0..1: overlap of two ellipses, the Bhattacharyya coefficient of Gaussians like them.

    Bhattacharyya, Bull. Calcutta Math. Soc. 35:99, 1943.
    """
    yy = (nodes.var_y[s] + nodes.var_y[t]) / 2
    xx = (nodes.var_x[s] + nodes.var_x[t]) / 2
    yx = (nodes.covariance[s] + nodes.covariance[t]) / 2
    determinant = np.maximum(yy * xx - yx**2, 1e-6)
    y, x = offset[:, 1], offset[:, 2]
    reach = (xx * y**2 - 2 * yx * y * x + yy * x**2) / determinant
    single = np.maximum(nodes.var_y * nodes.var_x - nodes.covariance**2, 1e-6)
    shape = determinant / np.sqrt(single[s] * single[t])
    return np.exp(-reach / 8) / np.sqrt(np.maximum(shape, 1))


def _pairs(found: Candidates) -> np.ndarray:
    """(p, 2) edges of one source to two of the nearest instances of the same later frame."""
    rank = edge_ranks(found.source, found.gap, np.arange(len(found)))
    pieces = [np.zeros((0, 2), np.int64)]
    # Edges of one source over one gap stand together, nearest first.
    for apart in range(1, DAUGHTERS):
        a = np.flatnonzero((rank[apart:] < DAUGHTERS) & (rank[apart:] >= apart))
        pieces.append(np.stack([a, a + apart], axis=1))
    return np.concatenate(pieces)


def _pair_features(
    nodes: _Nodes, found: Candidates, offset: np.ndarray, pairs: np.ndarray
) -> np.ndarray:
    a, b = pairs.T
    s, one, two = found.source[a], found.target[a], found.target[b]
    apart = offset[b] - offset[a]
    separation = np.linalg.norm(apart, axis=1)
    middle = np.linalg.norm((offset[a] + offset[b]) / 2, axis=1)
    lengths = np.linalg.norm(offset[a], axis=1) * np.linalg.norm(offset[b], axis=1)
    cosine = (offset[a] * offset[b]).sum(1) / (lengths + 1e-3)
    y, x = apart[:, 1], apart[:, 2]
    direction = np.stack([(y**2 - x**2), 2 * y * x]) / (separation**2 + 1e-3)
    columns = (
        separation,
        middle,
        cosine,
        np.log((nodes.area[one] + nodes.area[two]) / nodes.area[s]),
        np.abs(np.log(nodes.area[one] / nodes.area[two])),
        np.abs(nodes.brightness[one] - nodes.brightness[two]),
        (nodes.brightness[one] + nodes.brightness[two]) / 2 - nodes.brightness[s],
        (direction * nodes.axis[:, s]).sum(0),
        (direction * (nodes.axis[:, one] + nodes.axis[:, two]) / 2).sum(0),
        np.abs(nodes.texture[one] - nodes.texture[two]),
        found.gap[a] - 1,
    )
    return _side_by_side(columns)


def _side_by_side(columns: Sequence[np.ndarray]) -> np.ndarray:
    """(row, column) float32, bounded."""
    rows = np.empty((len(columns), len(columns[0])), np.float32)
    for row, values in zip(rows, columns, strict=True):
        row[:] = values
    return np.ascontiguousarray(np.clip(rows, -LARGEST, LARGEST, out=rows).T)


def _neighbours(frames: Sequence[Frame], nodes: int) -> np.ndarray:
    tables = [np.zeros((0, NEIGHBOURS), np.int64)]
    start = 0
    for frame in frames:
        table = np.full((len(frame), NEIGHBOURS), nodes, np.int64)
        count = min(NEIGHBOURS, len(frame) - 1)
        if count > 0 and frame.tree is not None:
            _, near = frame.tree.query(frame.positions_px, k=count + 1)
            # The nearest is the instance itself, or one at the very same place.
            table[:, :count] = near[:, 1:] + start
        tables.append(table)
        start += len(frame)
    return np.concatenate(tables)


def _column(detections: Sequence[Detections], name: str) -> np.ndarray:
    return _concatenated([getattr(d, name) for d in detections]).astype(np.float64)


def _concatenated(pieces: Sequence[np.ndarray]) -> np.ndarray:
    filled = [piece for piece in pieces if len(piece)] or list(pieces[:1])
    return np.concatenate(filled)


def _middle(detections: Detections) -> float:
    return float(np.median(detections.brightness)) if len(detections) else 0.0


def _middle_area(detections: Detections) -> float:
    return float(np.median(detections.area_px)) if len(detections) else 1.0


def _one(array: np.ndarray) -> np.ndarray:
    return np.zeros([max(1, length) for length in array.shape], array.dtype)
