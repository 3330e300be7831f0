"""Windows: what the network is trained on, cut from movies and made harder."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from kiosk.imaging.candidates import Frame, find_candidates
from kiosk.imaging.detections import Detections
from kiosk.imaging.link_graph import link_graph
from training.linking.truth import TrueMovie, true_sources

LONGEST_GAP = 3
MOST_NODES = 900
SHORTEST, LONGEST = 5, 12


@dataclass(frozen=True)
class Window:
    """The graph of a window as tensors, and its truth.

    Attributes:
        graph: of `link_graph`.
        is_link: (e,) float32; is_division: (p,) float32.
        counts: (n,) bool, nodes whose source can be known; pair_counts: (p,) bool.
    """

    graph: dict[str, torch.Tensor]
    is_link: torch.Tensor
    is_division: torch.Tensor
    counts: torch.Tensor
    pair_counts: torch.Tensor


def draw_window(
    movie: TrueMovie, random: np.random.Generator, longest_gap: int = LONGEST_GAP
) -> Window | None:
    """A window of a movie, with dropped instances, longer steps and drift; None if it is empty."""
    step = int(random.choice((1, 2, 3, 4), p=(0.35, 0.3, 0.2, 0.15)))
    length = int(random.integers(SHORTEST, LONGEST + 1))
    offset = int(random.integers(0, step))
    places = np.arange(offset, len(movie.frames), step)
    begin = int(random.integers(0, max(1, len(places) - length + 1)))
    begins_movie = begin == 0
    places = places[begin : begin + length]
    if sum(len(movie.frames[p]) for p in places) > MOST_NODES:
        places = places[:SHORTEST]
    dropped = random.choice((0.0, random.uniform(0, 0.1)))
    no_image = random.random() < 0.1
    frames, tracks = [], []
    drift = np.zeros(2)
    diameters = np.concatenate([movie.frames[p].diameters_px for p in places])
    if not len(diameters):
        return None
    diameter = float(np.median(diameters))
    walk = random.choice((0.0, 0.0, random.uniform(0, 0.4))) * diameter
    turn = int(random.integers(0, 8))
    for number, place in enumerate(places):
        keep = np.flatnonzero(random.random(len(movie.frames[place])) >= dropped)
        seen = _seen(movie.frames[place], keep, turn, no_image)
        drift = drift + random.normal(0, walk, 2)
        frames.append(Frame.of(number, seen, drift))
        tracks.append(movie.tracks[place][keep])
    first = 0 if begins_movie else -1
    last = len(places) - 1 if places[-1] + step >= len(movie.frames) else -1
    return _with_truth(frames, tracks, movie.parents, (first, last), longest_gap)


def _seen(detections: Detections, keep: np.ndarray, turn: int, no_image: bool) -> Detections:
    """Some of the detections, their patches turned and mirrored."""
    columns = detections.columns()
    shared = {"overview", "overview_scale"}
    some = {name: a if name in shared else a[keep] for name, a in columns.items()}
    patches = np.rot90(some["patches"], turn % 4, axes=(2, 3))
    some["patches"] = patches[..., ::-1] if turn >= 4 else patches
    found = Detections.from_columns(some)
    if not no_image:
        return found
    bare = some["patches"].copy()
    bare[:, 0] = 0
    nothing = np.zeros(len(keep), np.float32)
    return replace(found, patches=bare, brightness=nothing, texture=nothing)


def _with_truth(
    frames: list[Frame],
    tracks: list[np.ndarray],
    parents: dict[int, int],
    movie_frames: tuple[int, int],
    longest_gap: int,
) -> Window | None:
    found = find_candidates(frames, longest_gap)
    if not len(found):
        return None
    graph = link_graph(frames, found, movie_frames)
    source, frame = true_sources(tracks, parents)
    is_link = source[found.target] == found.source
    pairs = graph["pairs"]
    is_division = is_link[pairs[:, 0]] & is_link[pairs[:, 1]] & (pairs[:, 0] != pairs[:, 1])
    # What came before the window is not known, and could be the source over a gap.
    counts = (frame > 1) if movie_frames[0] < 0 else (frame > 0)
    return Window(
        {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in graph.items()},
        torch.from_numpy(is_link.astype(np.float32)),
        torch.from_numpy(is_division.astype(np.float32)),
        torch.from_numpy(counts),
        torch.from_numpy(counts[found.target[pairs[:, 0]]]),
    )
