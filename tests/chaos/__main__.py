"""`make chaos`: a whole kiosk under random kills and stops, and what must hold afterwards.

    python -m tests.chaos --seed 1

Exit code 0 when everything held. The folder of a run that failed is kept, with its logs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from kiosk.settings import leave_children_alone


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="a minute, as in make test")
    parser.add_argument("--jobs", type=int, help="how many; default: 300, or 30 when short")
    parser.add_argument("--minutes", type=float, help="longest time with faults; default: 5")
    parser.add_argument("--out", type=Path, help="where the folder of the run is made")
    arguments = parser.parse_args()
    leave_children_alone()
    from tests.chaos.report import report
    from tests.chaos.run import FULL, SHORT, Run

    size = SHORT if arguments.short else FULL
    if arguments.jobs:
        size = replace(size, jobs=arguments.jobs)
    if arguments.minutes:
        size = replace(size, storm_s=60 * arguments.minutes)
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="kiosk-chaos-", dir=arguments.out))
    result = Run(folder, console, arguments.seed, size).do()
    report(result, console)
    if result.violations:
        console.print(f"Seed {arguments.seed}. The logs are in {folder}.")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
