"""The pace of slots as the queue measures it: pixels per second, decayed over some minutes."""

from __future__ import annotations

import math
from dataclasses import dataclass

MEMORY_S = 300.0


@dataclass
class Pace:
    """Megapixels and slot-seconds of the last minutes; older ones count less and less."""

    megapixels: float = 0.0
    slot_s: float = 0.0

    def count(self, megapixels: float, slot_s: float, passed_s: float) -> None:
        """Add what was done while `passed_s` went by."""
        kept = math.exp(-passed_s / MEMORY_S)
        self.megapixels = self.megapixels * kept + megapixels
        self.slot_s = self.slot_s * kept + slot_s

    @property
    def px_per_slot_s(self) -> float:
        """0 while nothing was measured."""
        return self.megapixels * 1e6 / self.slot_s if self.slot_s > 1e-9 else 0.0
