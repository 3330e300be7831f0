"""Without kubectl nothing here can be looked at."""

from __future__ import annotations

import pytest

from tests.deploy.rendering import kustomizations, missing_tool, rendered

MISSING = missing_tool()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `objects` runs for every folder that kustomize knows."""
    if "objects" in metafunc.fixturenames:
        metafunc.parametrize("objects", kustomizations(), indirect=True)


@pytest.fixture
def objects(request: pytest.FixtureRequest) -> list[dict[str, object]]:
    if MISSING:
        pytest.skip(MISSING)
    return rendered(request.param)


@pytest.fixture
def kubectl() -> None:
    """For tests that render something of their own."""
    if MISSING:
        pytest.skip(MISSING)
