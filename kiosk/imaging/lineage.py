"""Lineage: the tracks of a movie, who is whose daughter, made from links."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Tracks and the instances they are made of.

    A track is one cell from its first frame to its last; where a cell divides, its track ends and
    two daughters begin. Columns of equal length, all int64.

    Attributes:
        frame, label, track: (instance,), ascending by frame, then label; the instance `label` of
            frame `frame` belongs to track `track`.
        confidence: (instance,) float32; of the link that leads to it, NaN where there is none.
        track_id: (track,) 1..n, ascending by first frame.
        first_frame, last_frame: (track,).
        parent_id: (track,) the mother, or 0.
        root_id: (track,) the first ancestor; a track without a mother is its own.
        generation: (track,) 0 for tracks without a mother.
    """

    frame: np.ndarray
    label: np.ndarray
    track: np.ndarray
    confidence: np.ndarray
    track_id: np.ndarray
    first_frame: np.ndarray
    last_frame: np.ndarray
    parent_id: np.ndarray
    root_id: np.ndarray
    generation: np.ndarray
