"""What is held for a call before it runs."""

from dataclasses import replace

from app.domain.pricing import Cost
from app.domain.usage import Usage
from app.gateway.estimate import DEFAULT_MAX_OUTPUT_TOKENS, Estimator
from tests.gateway.examples import RECEIPT, SHEET


def learned(output: int, input_cost: int, body_bytes: int, calls: int = 4) -> Estimator:
    estimator = Estimator()
    receipt = replace(RECEIPT, usage=Usage(output=output), cost=Cost(input=input_cost, total=input_cost))
    for _ in range(calls):
        estimator.learn(receipt, body_bytes)
    return estimator


def test_without_history_the_hold_is_the_callers_own_maximum() -> None:
    estimate = Estimator().estimate(RECEIPT.deployment_id, SHEET, 400, 1000)
    assert estimate.usage == Usage(input=100, output=1000)
    assert estimate.hold_nanousd == 100 * 3_000 + 1000 * 15_000


def test_a_caller_who_names_no_maximum_is_held_at_the_default() -> None:
    assert Estimator().estimate("dep", SHEET, 4, None).usage.output == DEFAULT_MAX_OUTPUT_TOKENS


def test_with_history_the_hold_is_the_largest_seen_and_a_quarter() -> None:
    estimate = learned(200, 0, 400).estimate(RECEIPT.deployment_id, SHEET, 400, 32_000)
    assert estimate.usage.output == 251


def test_the_hold_never_exceeds_the_callers_maximum() -> None:
    assert learned(200, 0, 400).estimate(RECEIPT.deployment_id, SHEET, 400, 100).usage.output == 100


def test_a_mostly_cached_prompt_is_held_at_what_such_prompts_cost() -> None:
    # 48 KB that cost a tenth of the input price, as they came from a cache.
    estimator = learned(10, 48 * 1024 // 4 * 300, 48 * 1024)
    cold = Estimator().estimate(RECEIPT.deployment_id, SHEET, 48 * 1024, 10).hold_nanousd
    assert estimator.estimate(RECEIPT.deployment_id, SHEET, 48 * 1024, 10).hold_nanousd < cold / 5


def test_three_calls_are_no_history() -> None:
    assert learned(200, 0, 400, calls=3).estimate(RECEIPT.deployment_id, SHEET, 4, 1000).usage.output == 1000
