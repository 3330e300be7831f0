"""A server or a consumer of the load run: the kiosk's own, but its models answer at once.

    python -m tests.load.role server | consumer [bare]

With `bare` the recipe is the stub too, so that nothing but the kiosk itself is measured.
"""

from __future__ import annotations

import sys
from typing import Any

from kiosk.settings import leave_children_alone


def main() -> None:
    leave_children_alone()
    from kiosk import bootstrap
    from kiosk.cli import roles
    from kiosk.pipelines import PIPELINES
    from tests.load import stub_pipeline
    from tests.load.stub_model import StubInference

    replaced: Any = bootstrap
    replaced.make_inference = lambda settings: StubInference()
    if "bare" in sys.argv:
        PIPELINES["segmentation"] = stub_pipeline
    {"server": roles.server, "consumer": roles.consumer}[sys.argv[1]]()


if __name__ == "__main__":
    main()
