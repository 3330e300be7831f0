"""Linking: the instances of a movie joined through time, frame after frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kiosk.errors import InvalidRequest
from kiosk.imaging.assignment import best_links
from kiosk.imaging.candidates import Candidates, Frame, find_candidates
from kiosk.imaging.detections import Detections
from kiosk.imaging.drift import frame_shift_px
from kiosk.imaging.link_graph import link_graph
from kiosk.imaging.link_scores import geometric_scores
from kiosk.imaging.links import Links

# The arrays of a window (`link_graph.link_graph`) -> `link` (e,) and `division` (p,) log odds.
Score = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]

# Frames that are scored together, and how many of them only to see what follows: links are
# decided when so many later frames are known, and the frames before stay as context.
WINDOW_FRAMES = 20
LOOK_AHEAD = 4
LOOK_BACK = 2
# Of frames with thousands of instances fewer make a window: a network takes 50 kB per instance.
MOST_INSTANCES = 20_000
FEWEST_FRAMES = LOOK_BACK + LOOK_AHEAD + 2
FARTHEST = 30.0


@dataclass(frozen=True, kw_only=True)
class LinkOptions:
    """What may be asked of linking.

    Attributes:
        longest_gap: most frames from one instance of a cell to the next; 1 = no gaps are closed.
            2 bridges a single missed instance, nearly all there are; with one instance in thirty
            missed, 3 found one link in a thousand more. Up to 3 the network has been trained.
        divisions: whether a cell may become two.
        reach_px: longest distance from one frame to the next; None = from the size and spacing of
            the instances, which also allows for fast cells where there is room.
        correct_drift: take off what the whole frame has moved.
        division_bias: added to the log odds of divisions; higher = more of them.
        link_bias: added to the log odds of links; higher = fewer, longer tracks.
    """

    longest_gap: int = 2
    divisions: bool = True
    reach_px: float | None = None
    correct_drift: bool = True
    division_bias: float = 0.0
    link_bias: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.longest_gap <= LOOK_AHEAD:
            raise InvalidRequest(
                f"A link can reach over 1 to {LOOK_AHEAD} frames, not {self.longest_gap}.",
                reason="BAD_GAP",
                field="longest_gap",
            )
        if self.reach_px is not None and not self.reach_px > 0:
            raise InvalidRequest(
                f"The longest distance of a link must be more than 0 px, not {self.reach_px:g}.",
                reason="BAD_REACH",
                field="reach_px",
            )


class Linker:
    """Takes the frames of a movie in order and gives links as soon as they are decided.

    Memory holds one window of frames, whatever the movie's length.
    """

    def __init__(
        self,
        options: LinkOptions | None = None,
        score: Score = geometric_scores,
        movie_frames: int | None = None,
    ) -> None:
        """Begin a movie.

        Args:
            options: None = the defaults.
            score: a network, or the geometric score.
            movie_frames: how many there will be, if that is known.
        """
        self._options = options or LinkOptions()
        self._score = score
        self._movie_frames = movie_frames
        self._frames: list[Frame] = []
        self._drift_px = np.zeros(2)
        self._number = 0
        # Links begin in frames from here on; those before are context.
        self._undecided = 0
        # Keys of decided targets in frames that are still open: each has its source.
        self._taken = np.zeros(0, np.int64)

    def add(self, detections: Detections) -> Links:
        """Append the next frame; the links that are decided by it."""
        if self._frames and self._options.correct_drift:
            self._drift_px = self._drift_px + frame_shift_px(
                self._frames[-1].detections, detections
            )
        self._frames.append(Frame.of(self._number, detections, self._drift_px))
        self._number += 1
        if not self._is_full():
            return Links.none()
        return self._decide(self._number - LOOK_AHEAD)

    def finish(self) -> Links:
        """The links that were still open at the end of the movie."""
        return self._decide(self._number)

    def _is_full(self) -> bool:
        count = len(self._frames)
        instances = sum(len(frame) for frame in self._frames)
        many = instances >= MOST_INSTANCES and count >= FEWEST_FRAMES
        return many or count >= WINDOW_FRAMES

    def _decide(self, end: int) -> Links:
        """Decide all links that begin before frame `end`, and forget the frames before."""
        found = find_candidates(self._frames, self._options.longest_gap, self._options.reach_px)
        links = self._best(found, end) if len(found) else Links.none()
        self._undecided = end
        self._frames = [f for f in self._frames if f.number >= end - LOOK_BACK]
        kept = links.target_frame > end
        taken = _keys(links.target_frame[kept], links.target_label[kept])
        self._taken = np.concatenate([self._taken[self._taken >= _keys(end, 0)], taken])
        return links

    def _best(self, found: Candidates, end: int) -> Links:
        graph = link_graph(self._frames, found, (0, self._last_frame(end)))
        scores = self._score(graph)
        link = _finite(scores["link"][: len(found)]) + self._options.link_bias
        division = _finite(scores["division"]) + self._options.division_bias
        open_ = self._open(found)
        second = np.full(len(found), -np.inf)
        pairs = graph["pairs"]
        # A window without pairs has one that stands for none, of an edge with itself.
        if self._options.divisions and np.any(pairs[:, 0] != pairs[:, 1]):
            np.maximum.at(second, pairs.ravel(), np.repeat(division, 2))
            # A link is at least as likely as the division that it is part of.
            link = np.maximum(link, second)
        gain, second = (np.where(open_, values, -np.inf) for values in (link, second))
        chosen, _ = best_links(found.source, found.target, gain, second)
        chosen &= found.frame[found.source] < end
        return _as_links(found, chosen, _probability(found, link))

    def _last_frame(self, end: int) -> int:
        """The number of the movie's last frame, or -1 where that is not known yet."""
        if end == self._number:
            return self._number - 1
        return self._movie_frames - 1 if self._movie_frames else -1

    def _open(self, found: Candidates) -> np.ndarray:
        """(e,) edges that may still be chosen."""
        open_ = found.frame[found.source] >= self._undecided
        keys = _keys(found.frame, found.label)
        return open_ & ~np.isin(keys, self._taken)[found.target]


def _keys(frame: np.ndarray | int, label: np.ndarray | int) -> np.ndarray:
    """One int64 for a frame and a label of 32 bits."""
    return np.asarray((np.asarray(frame, np.int64) << 32) + label)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.clip(np.nan_to_num(values.astype(np.float64)), -FARTHEST, FARTHEST)


def _probability(found: Candidates, link: np.ndarray) -> np.ndarray:
    """(e,) of each edge being the one that leads to its target; that it has none is log odds 0."""
    odds = np.exp(link)
    total = np.bincount(found.target, odds)
    return (odds / (1 + total[found.target])).astype(np.float32)


def _as_links(found: Candidates, chosen: np.ndarray, confidence: np.ndarray) -> Links:
    s, t = found.source[chosen], found.target[chosen]
    return Links(
        source_frame=found.frame[s],
        source_label=found.label[s],
        target_frame=found.frame[t],
        target_label=found.label[t],
        confidence=confidence[chosen],
    )
