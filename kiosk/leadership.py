"""Who of several processes leads, by one record that all of them read and write.

The record is not believed for its times, since clocks differ: each process watches, on its own
monotonic clock, for how long the record did not change. Two rules make sure that there are never
two leaders:

- A leader leads for `lead_s` from the moment at which it *began* the last write that succeeded.
- Nobody takes over before the record has stood unchanged for its whole `duration_s` since this
  process *first saw* it so, which is never before it was written. A record that is not there counts
  as one that may just have been deleted. Only who steps down lets another take over at once.

As `lead_s` is shorter than `duration_s` by a third, clocks may also run at speeds that differ, and
what a leader has begun can end. A write that was lost on its way, in either direction, changes
nothing: the next look at the record tells. This is the way of client-go's leader election.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from kiosk.errors import KioskError
from kiosk.ports import LeaderRecord, LeaderRecords

log = logging.getLogger(__name__)

LEAD_RATIO = 2 / 3
"""For so much of the duration a leader leads without having renewed."""
STEPS_PER_DURATION = 7.5
"""Several tries may fail before the lead is lost."""

Clock = Callable[[], float]


class Leadership:
    """The part of one process in it.

    Args:
        identity: a name that no other process has, nor this one after a restart.
        duration_s: a leader that died is followed by another after so long.
        monotonic: seconds that never go back.
        unix_time: seconds since 1970, only told to people.
    """

    def __init__(
        self,
        records: LeaderRecords,
        identity: str,
        duration_s: float,
        monotonic: Clock,
        unix_time: Clock,
    ) -> None:
        self._records = records
        self._identity = identity
        self._duration_s = duration_s
        self._monotonic, self._unix_time = monotonic, unix_time
        self._seen: LeaderRecord | None = None
        self._seen_s: float | None = None
        self._lead_until_s = float("-inf")
        self._complaint = ""

    @property
    def is_leader(self) -> bool:
        """Whether this process leads at this moment; ask again after every wait."""
        return self._monotonic() < self._lead_until_s

    @property
    def step_s(self) -> float:
        """Time between two steps."""
        return self._duration_s / STEPS_PER_DURATION

    @property
    def steps_to_win(self) -> int:
        """After so many steps there is a leader, if the record can be written."""
        return math.ceil(2 * STEPS_PER_DURATION)

    @property
    def leader(self) -> str:
        """Who leads as far as is known; "" = nobody."""
        return self._seen.holder if self._seen else ""

    async def step(self) -> bool:
        """One try to lead, or to go on leading; to be called every few seconds.

        The same complaint is logged once until there is an answer.
        """
        try:
            await self._step()
            self._complaint = ""
        except KioskError as error:
            if str(error) != self._complaint:
                log.warning("Who leads cannot be looked up: %s", error)
            self._complaint = str(error)
        return self.is_leader

    async def _step(self) -> None:
        self._see(await self._records.read())
        if self._may_write():
            began_s = self._monotonic()
            written = await self._records.write(self._next_record(), self._seen)
            if written is not None:
                self._see(written)
                self._lead_until_s = began_s + LEAD_RATIO * self._duration_s
                return
        if self.leader != self._identity:
            self._lead_until_s = float("-inf")

    async def release(self) -> None:
        """Step down, so that another need not wait; to be called when nothing is done any more."""
        was_leader, self._lead_until_s = self.is_leader, float("-inf")
        if not was_leader or self._seen is None:
            return
        try:
            await self._records.write(self._record("", self._seen), self._seen)
        except KioskError as error:
            log.warning("The next leader has to wait: %s", error)

    def _see(self, record: LeaderRecord | None) -> None:
        if self._seen_s is None or record != self._seen:
            self._seen, self._seen_s = record, self._monotonic()

    def _may_write(self) -> bool:
        """The record is ours, nobody's, or has not changed for too long."""
        if self._seen is None and self.is_leader:
            return True
        if self._seen is not None and self._seen.holder in ("", self._identity):
            return True
        patience_s = max(self._duration_s, self._seen.duration_s if self._seen else 0.0)
        return self._seen_s is not None and self._monotonic() - self._seen_s >= patience_s

    def _next_record(self) -> LeaderRecord:
        if self._seen is not None:
            return self._record(self._identity, self._seen)
        now_s = self._unix_time()
        return LeaderRecord(
            holder=self._identity,
            duration_s=self._duration_s,
            acquired_s=now_s,
            renewed_s=now_s,
        )

    def _record(self, holder: str, before: LeaderRecord) -> LeaderRecord:
        now_s = self._unix_time()
        is_same = holder == before.holder
        return LeaderRecord(
            holder=holder,
            duration_s=self._duration_s,
            acquired_s=before.acquired_s if is_same else now_s,
            renewed_s=now_s,
            transitions=before.transitions + (0 if is_same or not holder else 1),
        )
