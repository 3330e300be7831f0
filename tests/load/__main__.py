"""`make load`: how much the kiosk itself can take, with a model that answers at once.

    python -m tests.load                        6,000 jobs, 1,000 watchers, 100,000 queued jobs
    python -m tests.load --peers .venv-load/bin/python    and other queues beside it

Everything runs on this machine and on loopback: Redis with its append-only file, one server, two
consumers. Rates depend on the machine and on what else it does; the ratios to the peers less so.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kiosk.settings import leave_children_alone
from tests.load import phases
from tests.load.stack import running


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--jobs", type=int, default=6000)
    parser.add_argument("--whole-jobs", type=int, default=600)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--submissions", type=int, default=1500)
    parser.add_argument("--queued", type=int, default=100_000)
    parser.add_argument("--peers", type=Path, help="an interpreter with arq and taskiq-redis")
    arguments = parser.parse_args()
    leave_children_alone()
    table = Table("what", "figure", "aim", title="load")
    with tempfile.TemporaryDirectory(prefix="kiosk-load-") as folder:
        asyncio.run(measure(arguments, Path(folder), table))
    Console().print(table)


async def measure(arguments: argparse.Namespace, folder: Path, table: Table) -> None:
    """All phases; each has a kiosk of its own, so that none leaves anything to the next."""
    busy = os.getloadavg()[0]
    table.add_row("load of the machine before", f"{busy:.1f}", "")
    for name in ("whole", "bare", "watched", "queued"):
        (folder / name).mkdir()
    with running(folder / "whole", 2) as stack:
        await phases.ready(stack)
        done = await phases.throughput(stack, arguments.whole_jobs)
        table.add_row("one-tile jobs/s, segmentation with all results", f"{done.per_s:.0f}", "")
        table.add_row("  processor ms per job", costs(done.cpu_ms), "")
    with running(folder / "bare", 2, "bare") as stack:
        await phases.ready(stack)
        await phases.throughput(stack, arguments.jobs // 6)
        memory = stack.memory_mib("server")
        done = await phases.throughput(stack, arguments.jobs)
        table.add_row("one-tile jobs/s, the kiosk itself", f"{done.per_s:.0f}", ">= 300")
        table.add_row("  processor ms per job", costs(done.cpu_ms), "")
        grown = stack.memory_mib("server") - memory
        table.add_row("  server's memory", f"{memory:.0f} MiB, {grown:+.1f} MiB", "flat")
        for which in ("arq", "taskiq") if arguments.peers else ():
            rate = phases.peer(which, arguments.peers, stack, arguments.jobs)
            table.add_row(
                f"  {which}: tasks/s; kiosk : {which}", f"{rate:.0f}; {done.per_s / rate:.2f}", ""
            )
    with running(folder / "watched", 0, "bare") as stack:
        await phases.ready(stack)
        slow = await phases.latency(stack, arguments.watchers, arguments.submissions, 50.0)
        table.add_row(
            f"submit with {arguments.watchers} watchers, 50/s: median, p99",
            f"{slow.median_ms:.0f}, {slow.p99_ms:.0f} ms ({slow.events} events)",
            "p99 < 100 ms",
        )
    with running(folder / "queued", 0) as stack:
        await phases.ready(stack)
        waiting = await phases.queued(stack, arguments.queued)
        table.add_row(
            f"Redis memory per part, {waiting.jobs} queued jobs",
            f"{waiting.bytes_per_part:.0f} bytes",
            "<= 1 KB",
        )
        table.add_row(
            "asking for the backlog: empty, then",
            f"{waiting.backlog_ms_before:.2f}, {waiting.backlog_ms_after:.2f} ms",
            "O(1)",
        )


def costs(cpu_ms: dict[str, float]) -> str:
    each = ", ".join(f"{name} {value:.2f}" for name, value in cpu_ms.items())
    return f"{sum(cpu_ms.values()):.2f} ({each})"


if __name__ == "__main__":
    main()
