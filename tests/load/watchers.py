"""Many watchers of jobs, in a process of their own: each follows one job after another.

    python -m tests.load.watchers HOST:PORT COUNT

Prints "ready" when all have seen their first event, and at the end how many events came.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys

from kiosk.client import AsyncKiosk
from kiosk.errors import KioskError

CONNECTIONS = 10
JOBS_LISTED = 2000
LIST_EVERY_S = 2.0


class Watching:
    """One list of open jobs for all watchers; they shall watch, and not ask for lists."""

    def __init__(self, kiosk: AsyncKiosk) -> None:
        self._kiosk = kiosk
        self._open: list[str] = []
        self.listed = asyncio.Event()
        self.ready = asyncio.Semaphore(0)
        self.events = 0

    async def keep_list(self) -> None:
        while True:
            with contextlib.suppress(KioskError):
                jobs = await self._kiosk.jobs(JOBS_LISTED)
                self._open = [job.name for job in jobs if not job.HasField("end_time")]
                self.listed.set()
            await asyncio.sleep(LIST_EVERY_S)

    async def follow(self, kiosk: AsyncKiosk) -> None:
        """One open job after another, to its end."""
        is_first = True
        await self.listed.wait()
        while True:
            if not self._open:
                # Not in step with the others: a thousand people would not be either.
                await asyncio.sleep(random.uniform(0, 2 * LIST_EVERY_S))
                continue
            with contextlib.suppress(KioskError):
                async for _ in kiosk.watch(random.choice(self._open)):
                    self.events += 1
                    if is_first:
                        is_first = False
                        self.ready.release()


async def main(server: str, count: int) -> None:
    kiosks = [AsyncKiosk(server) for _ in range(CONNECTIONS)]
    watching = Watching(kiosks[0])
    tasks = [asyncio.create_task(watching.keep_list())]
    tasks += [asyncio.create_task(watching.follow(kiosks[i % CONNECTIONS])) for i in range(count)]
    for _ in range(count):
        await watching.ready.acquire()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)  # until whoever started us has seen enough
    for task in tasks:
        task.cancel()
    print(watching.events, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
