"""The geometric score: how likely two instances are one cell, without a network.

Two logistic regressions on what `link_graph` measures, one for links and one for divisions. Their
weights were fitted to made-up movies by `training/linking/fit_scores.py`.
"""

from __future__ import annotations

import numpy as np

from kiosk.imaging.link_graph import EDGE_COLUMNS, NODE_COLUMNS, PAIR_COLUMNS

# Beyond this no measurement says more.
LARGEST = 4.0
LARGEST_ODDS = 8.0

# Name of a column, "^2" for its square -> weight.
LINK = {
    "constant": 5.362,
    "distance": 0.982,
    "distance_by_motion": 0.340,
    "distance_by_source_spacing": 0.530,
    "distance_by_target_spacing": -0.722,
    "growth": 0.344,
    "unlike_size": -2.196,
    "unlike_brightness": -5.335,
    "unlike_texture": -10.749,
    "unlike_eccentricity": -1.282,
    "turn": -1.555,
    "overlap": 1.982,
    "gap": -4.371,
    "rank_at_source": -3.108,
    "rank_at_target": 0.695,
    "motion": -2.540,
    "border": 0.855,
    "distance^2": -0.259,
    "distance_by_motion^2": -3.379,
    "growth^2": 0.529,
    "unlike_brightness^2": 5.897,
}
DIVISION = {
    "constant": 0.120,
    "separation": 2.393,
    "off_middle": -1.715,
    "cosine": -0.863,
    "size_of_both": -1.389,
    "unlike_sizes": -1.362,
    "unlike_brightness": -2.442,
    "brightening": -2.323,
    "along_mother": -0.802,
    "along_daughters": -1.635,
    "unlike_texture": -4.893,
    "gap": -1.734,
    "separation^2": -0.664,
    "off_middle^2": -0.344,
    "size_of_both^2": -0.263,
    "unlike_sizes^2": 0.216,
    "unlike_brightness^2": 0.778,
    "brightening^2": -2.689,
    "weaker_link": 0.522,
    "stronger_link": -0.205,
    "more_rivals": -0.909,
    "fewer_rivals": -0.429,
    "mother_size": -0.839,
    "mother_brightness": 4.076,
}


def geometric_scores(graph: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Log odds from distance, size, shape and brightness.

    Args:
        graph: of `link_graph.link_graph`; patches are not used.

    Returns:
        `link` (e,) float32, log odds of each edge; `division` (p,) float32, of each pair.
    """
    link = link_terms(graph) @ np.array(list(LINK.values()))
    division = division_terms(graph, link) @ np.array(list(DIVISION.values()))
    return {"link": link.astype(np.float32), "division": division.astype(np.float32)}


def link_terms(graph: dict[str, np.ndarray]) -> np.ndarray:
    """(e, term) float64: what LINK weighs, in its order."""
    values = np.clip(graph["edge_features"].astype(np.float64), -LARGEST, LARGEST)
    columns = dict(zip(EDGE_COLUMNS, values.T, strict=True))
    return _terms(LINK, columns, len(values))


def division_terms(graph: dict[str, np.ndarray], link: np.ndarray) -> np.ndarray:
    """(p, term) float64: what DIVISION weighs, in its order.

    Beside what the pair itself looks like, it counts whether its daughters could have come from
    elsewhere, and whether the mother looks like one: small and bright among the others.

    Args:
        link: (e,) log odds of the edges.
    """
    one, two = graph["pairs"].T
    source, target = graph["source"], graph["target"]
    values = np.clip(graph["pair_features"].astype(np.float64), -LARGEST, LARGEST)
    columns = dict(zip(PAIR_COLUMNS, values.T, strict=True))
    odds = np.exp(np.clip(link, -15, LARGEST_ODDS))
    others = np.bincount(target, odds)[target] - odds
    rivals = np.log1p(np.maximum(others, 0))
    mother = np.clip(graph["node_features"][source[one]], -LARGEST, LARGEST)
    bounded = np.clip(link, -10, 10)
    columns |= {
        "weaker_link": np.minimum(bounded[one], bounded[two]),
        "stronger_link": np.maximum(bounded[one], bounded[two]),
        "more_rivals": np.maximum(rivals[one], rivals[two]),
        "fewer_rivals": np.minimum(rivals[one], rivals[two]),
        "mother_size": mother[:, NODE_COLUMNS.index("size")],
        "mother_brightness": mother[:, NODE_COLUMNS.index("brightness")],
    }
    return _terms(DIVISION, columns, len(values))


def _terms(weights: dict[str, float], columns: dict[str, np.ndarray], count: int) -> np.ndarray:
    terms = np.ones((len(weights), count))
    for row, name in zip(terms, weights, strict=True):
        if name.endswith("^2"):
            np.square(columns[name.removesuffix("^2")], out=row)
        elif name != "constant":
            row[:] = columns[name]
    return terms.T
