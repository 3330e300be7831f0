"""Links: which instance of a frame is which instance of a later frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Links:
    """Links of a movie, as columns of equal length (link,).

    A source with two links is a division; a link over more than one frame closes a gap.

    Attributes:
        source_frame, source_label: int64; the earlier instance, by its frame and its label there.
        target_frame, target_label: int64; the later one.
        confidence: float32, 0..1; how sure the linking is of it.
    """

    source_frame: np.ndarray
    source_label: np.ndarray
    target_frame: np.ndarray
    target_label: np.ndarray
    confidence: np.ndarray

    def __len__(self) -> int:
        return len(self.source_frame)

    @classmethod
    def none(cls) -> Links:
        numbers = np.zeros(0, np.int64)
        return cls(
            source_frame=numbers,
            source_label=numbers,
            target_frame=numbers,
            target_label=numbers,
            confidence=np.zeros(0, np.float32),
        )

    @classmethod
    def joined(cls, pieces: Sequence[Links]) -> Links:
        """All links of several pieces, in the order given."""
        if not pieces:
            return cls.none()
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(p, name) for p in pieces]) for name in names})
