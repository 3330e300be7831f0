"""A real consumer process whose recipe is the slow one: `python -m tests.burst.consumer`."""

from __future__ import annotations

from typing import Any

from kiosk.settings import leave_children_alone


def main() -> None:
    leave_children_alone()
    from kiosk import bootstrap
    from kiosk.cli import roles
    from kiosk.pipelines import PIPELINES
    from tests.burst import slow_pipeline
    from tests.load.stub_model import StubInference

    replaced: Any = bootstrap
    replaced.make_inference = lambda settings: StubInference()
    PIPELINES["segmentation"] = slow_pipeline
    roles.consumer()


if __name__ == "__main__":
    main()
