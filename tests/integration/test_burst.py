"""The real autoscaler follows a burst with real consumer processes, up and down to zero."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.burst.burst import POLICY, follow
from tests.burst.picture import draw
from tests.conftest import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

JOBS = 80


async def test_a_burst_is_followed_and_no_job_is_lost(
    tmp_path: Path, new_redis: Callable[[], RedisServer]
) -> None:
    """`python -m tests.burst` shows the same as a picture."""
    outcome = await follow(tmp_path, new_redis().url, JOBS)
    assert outcome.states == {"succeeded": JOBS}
    assert len(list((tmp_path / "objects").rglob("done.txt"))) == JOBS
    assert set(outcome.exit_codes) == {0}
    samples = outcome.samples
    assert max(sample.triton_desired for sample in samples) == POLICY.max_triton
    most = POLICY.max_triton * POLICY.consumers_per_triton
    assert max(sample.consumers_running for sample in samples) == most
    assert (samples[-1].triton_desired, samples[-1].consumers_running) == (0, 0)
    # One consumer may plan ahead; the others come after their Triton and go before it.
    for sample in samples:
        served = sample.triton_ready * POLICY.consumers_per_triton
        assert sample.consumers_desired <= max(1, served)
    assert len(outcome.csv().splitlines()) == len(samples) + 1
    assert isinstance(draw(samples), Image.Image)
