"""Random forests of tracks, for property tests."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from kiosk.imaging.links import Links

FRAMES = 8


@dataclass(frozen=True)
class Forest:
    """Tracks as (frames they are seen in, mother's position in the list or -1).

    Attributes:
        labels: for each track the label in each of its frames.
    """

    tracks: list[tuple[list[int], int]]
    labels: list[list[int]]

    def frame_labels(self) -> list[np.ndarray]:
        found: list[list[int]] = [[] for _ in range(FRAMES)]
        for (frames, _), labels in zip(self.tracks, self.labels, strict=True):
            for frame, label in zip(frames, labels, strict=True):
                found[frame].append(label)
        return [np.array(labels, np.int64) for labels in found]

    def links(self) -> Links:
        rows = []
        for number, (frames, mother) in enumerate(self.tracks):
            places = list(zip(frames, self.labels[number], strict=True))
            if mother >= 0:
                before = self.tracks[mother][0][-1], self.labels[mother][-1]
                places = [before, *places]
            rows += [(*a, *b) for a, b in pairwise(places)]
        columns = np.array(rows, np.int64).reshape(-1, 4).T
        return Links(
            source_frame=columns[0],
            source_label=columns[1],
            target_frame=columns[2],
            target_label=columns[3],
            confidence=np.linspace(0, 1, len(rows), dtype=np.float32),
        )

    def instances(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(frame, label, number of the track from 1) of all instances."""
        rows = [
            (frame, label, number + 1)
            for number, ((frames, _), labels) in enumerate(
                zip(self.tracks, self.labels, strict=True)
            )
            for frame, label in zip(frames, labels, strict=True)
        ]
        columns = np.array(rows, np.int64).reshape(-1, 3).T
        return columns[0], columns[1], columns[2]

    def parents(self) -> dict[int, int]:
        return {number + 1: mother + 1 for number, (_, mother) in enumerate(self.tracks)}


@st.composite
def forests(draw: st.DrawFn) -> Forest:
    """Tracks with gaps and divisions, their labels shuffled in every frame."""
    tracks: list[tuple[list[int], int]] = []
    waiting = [(draw(st.integers(0, FRAMES - 1)), -1) for _ in range(draw(st.integers(0, 5)))]
    while waiting and len(tracks) < 25:
        first, mother = waiting.pop(0)
        later = draw(st.sets(st.integers(first, FRAMES - 1)))
        frames = sorted({first, *later})
        tracks.append((frames, mother))
        if frames[-1] < FRAMES - 1 and draw(st.booleans()):
            begins = st.integers(frames[-1] + 1, FRAMES - 1)
            number = len(tracks) - 1
            waiting += [(draw(begins), number), (draw(begins), number)]
    # What still waits would leave a mother with one daughter.
    tracks += [([first], mother) for first, mother in waiting]
    taken: list[list[int]] = [
        draw(st.permutations(range(1, len(tracks) + 1))) for _ in range(FRAMES)
    ]
    labels = [[taken[frame].pop() for frame in frames] for frames, _ in tracks]
    return Forest(tracks, labels)
