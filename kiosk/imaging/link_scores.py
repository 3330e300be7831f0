"""The geometric score: how likely two instances are one cell, without a network."""

from __future__ import annotations

import numpy as np

# Log odds of two instances at the very same place, of equal size and brightness.
SAME_PLACE = 5.0
# Standard deviations: of a displacement, in typical displacements of the movie and in diameters
# beside; of the logarithm of the area; of the brightness.
MOTION = 1.3
OWN_MOTION = 0.25
GROWTH = 0.45
BRIGHTENING = 0.5
# Of a division: log odds of a perfect one, standard deviations of what deviates from it.
DIVISION = 2.5
MIDDLE = 0.35
UNLIKE_AREA = 0.35
AREA_OF_BOTH = 0.4
UNLIKE_BRIGHTNESS = 0.25

DISTANCE, GROWN, BRIGHTER, GAP, MOTION_COLUMN = 0, 5, 7, 13, 16
SEPARATION, FROM_MIDDLE, COSINE, BOTH_AREAS, AREAS, BRIGHTNESSES = 0, 1, 2, 3, 4, 5


def geometric_scores(graph: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Log odds from distance, size and brightness, as independent Gaussians.

    Args:
        graph: of `link_graph.link_graph`.

    Returns:
        `link` (e,) float32, log odds of each edge; `division` (p,) float32, of each pair.
    """
    edges, pairs = graph["edge_features"], graph["pair_features"]
    spread = (MOTION * edges[:, MOTION_COLUMN] + OWN_MOTION) * np.sqrt(1 + edges[:, GAP])
    link = (
        SAME_PLACE
        - 1.5 * edges[:, GAP]
        - _square(edges[:, DISTANCE] / spread)
        - _square(edges[:, GROWN] / GROWTH, 4)
        - _square(edges[:, BRIGHTER] / BRIGHTENING, 4)
    )
    division = (
        DIVISION
        - _square(pairs[:, FROM_MIDDLE] / MIDDLE)
        - _square(pairs[:, AREAS] / UNLIKE_AREA)
        - _square(pairs[:, BOTH_AREAS] / AREA_OF_BOTH)
        - _square(pairs[:, BRIGHTNESSES] / UNLIKE_BRIGHTNESS)
        - 2 * (pairs[:, COSINE] + 1)
    )
    return {"link": link.astype(np.float32), "division": division.astype(np.float32)}


def _square(deviations: np.ndarray, most: float = 50.0) -> np.ndarray:
    """-log of a Gaussian, bounded: one odd measurement alone does not decide."""
    return np.minimum(deviations**2 / 2, most)
