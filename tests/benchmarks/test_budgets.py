"""What docs/budgets.md says of the ways to hold, on one seed: refused too early, and exceeded."""

import pytest

from benchmarks.budgets import Workload, coding_session, measure, render

pytestmark = pytest.mark.services

ROOMY = Workload("roomy", coding_session, 1.5)
TIGHT = Workload("tight", coding_session, 0.5)


async def test_learned_holds_refuse_nothing_that_fits_and_exceed_little_and_cut_ones_nothing() -> None:
    found = await measure(range(7, 8), (ROOMY, TIGHT))
    for policy in ("learned, finish", "learned, cut"):
        roomy = found["roomy", policy]
        assert (roomy.refused, roomy.overshoots) == ([], [0])
        assert roomy.waited_s == 0
    # Holding max_tokens keeps subagents waiting on a budget of which nothing is spent.
    assert found["roomy", "holding max_tokens"].waited_s > 5
    assert found["tight", "learned, cut"].overshoots == [0]
    assert found["tight", "learned, cut"].refused
    assert found["tight", "learned, finish"].overshoots[0] <= found["tight", "counting afterwards"].overshoots[0] <= 0.2
    assert "| roomy | counting afterwards | 0.0% (0 of 156) |" in render(found)
