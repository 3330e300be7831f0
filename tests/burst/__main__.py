"""`make burst`: the autoscaler follows a burst on this machine, up and down to zero.

    python -m tests.burst --out DIR      burst.csv, burst.png and the decisions as they were told

The queue, the consumers and the autoscaler are real; nodes for Triton only take their time. A
minute of a cluster is about a second here.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from rich.console import Console

from kiosk.machine import find_redis_server, server_files
from kiosk.settings import Settings, leave_children_alone
from tests.burst.burst import follow
from tests.burst.picture import draw
from tests.load.stack import Stack


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.burst", description=__doc__)
    parser.add_argument("--jobs", type=int, default=120)
    parser.add_argument("--out", type=Path, default=Path("."))
    arguments = parser.parse_args()
    leave_children_alone()
    find_redis_server(server_files(Settings().servers_dir).redis_server)
    with tempfile.TemporaryDirectory(prefix="kiosk-burst-") as folder:
        stack = Stack(Path(folder))
        stack.start_redis()
        try:
            outcome = asyncio.run(follow(Path(folder), stack.redis_url, arguments.jobs))
        finally:
            stack.stop("redis")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "burst.csv").write_text(outcome.csv())
    draw(outcome.samples).save(arguments.out / "burst.png")
    console = Console(highlight=False, soft_wrap=True)
    for line in outcome.lines:
        console.print(line, markup=False)
    console.print(f"jobs: {dict(outcome.states)}; consumers ended with {outcome.exit_codes}")


if __name__ == "__main__":
    main()
