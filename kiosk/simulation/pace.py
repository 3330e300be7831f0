"""The pace of slots as the queue measures it: pixels per second, decayed over some minutes."""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.queue_policy import LEAST_PACE_S, PACE_HALF_LIFE_S


@dataclass
class Pace:
    """Megapixels and slot-seconds of the last minutes; older ones count less and less."""

    megapixels: float = 0.0
    slot_s: float = 0.0

    def count(self, megapixels: float, slot_s: float, passed_s: float) -> None:
        """Add what was done while `passed_s` went by."""
        kept = 0.5 ** (passed_s / PACE_HALF_LIFE_S)
        self.megapixels = self.megapixels * kept + megapixels
        self.slot_s = self.slot_s * kept + slot_s

    @property
    def px_per_slot_s(self) -> float:
        """0 while nothing was measured."""
        return self.megapixels * 1e6 / self.slot_s if self.slot_s >= LEAST_PACE_S else 0.0
