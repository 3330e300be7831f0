"""While an outside system is away, a consumer takes no new part.

A queue of ten thousand parts would otherwise go through an outage one by one, each to be put off.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from kiosk.errors import KioskError, Outage
from kiosk.telemetry import OUTAGES

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0

Check = Callable[[], Awaitable[None]]


class Outages:
    """What is away at present, and looking whether it is back.

    Args:
        checks: by the `reason` of the outage: raises a KioskError for as long as it lasts. An
            outage that has none here (one model of several, say) holds up nothing else.
    """

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._lookouts: dict[str, asyncio.Task[None]] = {}
        for reason in checks:
            OUTAGES.labels(reason).set(0)

    def met(self, outage: Outage) -> None:
        """A part has met an outage."""
        reason = outage.reason
        if reason in self._checks and reason not in self._lookouts:
            log.warning("No new parts are taken: %s", outage.message)
            self._lookouts[reason] = asyncio.create_task(self._look_out(reason))
            OUTAGES.labels(reason).set(1)

    @property
    def is_any(self) -> bool:
        return bool(self._lookouts)

    @property
    def reasons(self) -> tuple[str, ...]:
        """What is away, by the reason words of the outages."""
        return tuple(sorted(self._lookouts))

    async def over(self) -> None:
        """Returns when nothing is away."""
        while self._lookouts:
            await asyncio.wait(set(self._lookouts.values()))

    def close(self) -> None:
        """Look out no longer."""
        for lookout in self._lookouts.values():
            lookout.cancel()

    async def _look_out(self, reason: str) -> None:
        pause_s = FIRST_PAUSE_S
        try:
            while True:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                try:
                    await self._checks[reason]()
                except KioskError as error:
                    log.info("still away: %s", error)
                    continue
                except Exception:
                    log.exception("looking whether an outage is over")
                    continue
                log.info("the outage is over (%s)", reason)
                return
        finally:
            del self._lookouts[reason]
            OUTAGES.labels(reason).set(0)
