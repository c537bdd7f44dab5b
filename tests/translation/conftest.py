"""The switch that writes golden files anew."""

import pytest


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> bool:
    """Whether to write what comes out in place of comparing it."""
    return bool(request.config.getoption("--update-golden"))
