"""A minute of chaos: processes are killed and stopped at random, and nothing may be lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from kiosk.errors import KioskError
from kiosk.machine import server_files
from kiosk.settings import Settings
from tests.chaos.report import report
from tests.chaos.run import SHORT, Run

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

SEED = 1


def test_nothing_is_lost_whatever_dies(tmp_path: Path) -> None:
    """`make chaos` does the same for longer; `python -m tests.chaos --short` is this test alone."""
    try:
        server_files(Settings().servers_dir)
    except KioskError as error:
        pytest.skip(error.message)
    result = Run(tmp_path, Console(), SEED, SHORT).do()
    report(result, Console())
    assert result.violations == []
    assert len(result.outcomes) == SHORT.jobs
    assert any(not blow.missed for blow in result.blows)
