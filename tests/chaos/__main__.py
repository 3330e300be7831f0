"""`make chaos`: a whole kiosk under random kills and stops, and what must hold afterwards.

    python -m tests.chaos --seed 1 --jobs 300 --minutes 6

Exit code 0 when everything held. The folder of a run that failed is kept, with its logs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from kiosk.settings import leave_children_alone


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=6.0, help="longest time with faults")
    parser.add_argument("--stack-frames", type=int, default=200)
    parser.add_argument("--out", type=Path, help="folder of the run; default: a temporary one")
    arguments = parser.parse_args()
    leave_children_alone()
    from tests.chaos.report import report
    from tests.chaos.run import Run

    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="kiosk-chaos-", dir=arguments.out))
    run = Run(
        folder,
        console,
        seed=arguments.seed,
        jobs=arguments.jobs,
        storm_s=60 * arguments.minutes,
        stack_frames=arguments.stack_frames,
        settings={},
    )
    result = run.do()
    report(result, console)
    if result.violations:
        console.print(f"Seed {arguments.seed}. The logs are in {folder}.")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
