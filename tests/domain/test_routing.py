"""Which deployment serves: each strategy over where deployments stand, and the breaker that leaves some out."""

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from app.base.ids import DeploymentId
from app.domain.failures import MEANINGS, kind_of
from app.domain.health import BreakerRules, Health, RetryBudget
from app.domain.routing import RoutingRules, Standing, Strategy, choose, heard_of, of_session
from app.protocols.refusal_reasons import reason_of
from tests.gateway.examples import DEPLOYMENT

NOW_S, MINUTE = 1000.0, 7
RULES = BreakerRules(allowed_fails=3, cooldown_s=5)


def standing(name: str, price: int = 1, **changes: Any) -> Standing:
    return Standing(replace(DEPLOYMENT, deployment_id=DeploymentId(name), **changes), price)


def shares(strategy: Strategy, standings: list[Standing], calls: int = 2000) -> Counter[str]:
    roll = random.Random(7).random
    return Counter(choose(strategy, standings, NOW_S, MINUTE, roll).deployment.deployment_id for _ in range(calls))


def test_a_simple_shuffle_goes_by_weight() -> None:
    found = shares("simple-shuffle", [standing("a", weight=3), standing("b", weight=1), standing("c", weight=0)])
    assert 1400 < found["a"] < 1600
    assert 400 < found["b"] < 600
    assert found["c"] == 0


def test_the_least_busy_counts_what_other_processes_run() -> None:
    a, b = standing("a"), standing("b")
    a.running, b.running, b.others_running = 2, 1, 3
    assert shares("least-busy", [a, b]) == {"a": 2000}


def test_the_fastest_serves_and_what_was_long_not_measured_is_tried_by_one_call_at_a_time() -> None:
    a, b, c = standing("a"), standing("b"), standing("c")
    for one, latency_ms in ((a, 100), (b, 105), (c, 900)):
        one.measure(latency_ms, NOW_S - 1)
    assert set(shares("latency-based-routing", [a, b, c])) == {"a", "b"}
    c.measured_s = NOW_S - 100
    assert shares("latency-based-routing", [a, b, c]) == {"c": 2000}
    c.running = 1
    assert set(shares("latency-based-routing", [a, b, c])) == {"a", "b"}


def test_the_cheapest_serves_also_the_calls_of_sessions() -> None:
    dear, cheap, as_cheap = standing("dear", 9), standing("cheap", 2), standing("as_cheap", 2)
    assert set(shares("cost-based-routing", [dear, cheap, as_cheap])) == {"cheap", "as_cheap"}
    for number in range(50):
        found = choose("cost-based-routing", [dear, cheap, as_cheap], NOW_S, MINUTE, random.random, f"s{number}")
        assert found is not dear


def test_usage_is_a_share_of_what_each_takes_in_a_minute() -> None:
    small, large = standing("small", tokens_per_minute=1000), standing("large", tokens_per_minute=100_000)
    small.minute = large.minute = MINUTE
    small.tokens, large.tokens = 500, 10_000
    assert shares("usage-based-routing-v2", [small, large]) == {"large": 2000}


def test_a_deployment_has_room_until_its_own_limits_are_reached_by_all_processes() -> None:
    one = standing("a", requests_per_minute=3)
    for _ in range(2):
        one.begin(MINUTE)
    assert one.has_room(MINUTE)
    one.others_requests = 1
    assert not one.has_room(MINUTE)
    assert one.has_room(MINUTE + 1)


def test_what_says_nothing_while_others_of_its_like_answer_is_left_out() -> None:
    hangs, answers, large = standing("a"), standing("b"), standing("c", weight=4)
    hangs.unanswered, answers.unanswered, large.unanswered = 8, 1, 9
    assert heard_of([hangs, answers, large]) == [answers, large]
    for one in (hangs, answers, large):  # a burst on deployments that all take their time
        one.unanswered += 20 * one.deployment.weight
    assert heard_of([hangs, answers, large]) == [hangs, answers, large]


def test_a_session_has_one_deployment_and_only_those_of_a_lost_one_move() -> None:
    standings = [standing(f"dep_{number}", weight=1 + number % 2) for number in range(6)]
    before = {f"session-{number}": of_session(standings, f"session-{number}") for number in range(3000)}
    found = Counter(str(one.deployment.deployment_id) for one in before.values())
    assert all(280 <= found[f"dep_{number}"] / (1 + number % 2) <= 390 for number in range(6))
    for session, was in before.items():
        now = of_session(standings[1:], session)
        assert now is was or was is standings[0]


def test_every_kind_of_failure_is_put_aside_within_five_and_comes_back_by_one_answer() -> None:
    health = Health()
    failures = 1
    while not health.has_failed_enough(NOW_S, RULES):
        failures += 1
    assert failures <= 5
    assert health.eject(NOW_S, RULES, "server_error")
    assert not health.may_be_called(NOW_S + 4.9)
    assert health.may_be_called(NOW_S + 5.1)
    health.begin_probe(NOW_S + 5.1, 60)
    assert not health.may_be_called(NOW_S + 5.2)
    assert health.succeed(NOW_S + 6)
    assert health.state(NOW_S + 6) == "healthy"


def test_each_further_time_is_twice_as_long_up_to_five_minutes_and_a_retry_after_is_kept() -> None:
    health, now_s, lasted = Health(), NOW_S, []
    for _ in range(9):
        health.eject(now_s, RULES, "overloaded")
        lasted.append(health.until_s - now_s)
        now_s = health.until_s
    assert lasted == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    limited = Health()
    limited.eject(NOW_S, RULES, "rate_limited", 42)
    assert limited.until_s == NOW_S + 42


def test_half_of_a_minutes_calls_failing_is_enough_though_some_are_answered() -> None:
    health = Health()
    verdicts = []
    for _ in range(4):
        verdicts.append(health.has_failed_enough(NOW_S, RULES))
        health.succeed(NOW_S)
    assert verdicts == [False, False, False, True]


def test_retries_are_a_share_of_recent_traffic() -> None:
    budget = RetryBudget(percent=20, floor=3)
    for _ in range(100):
        budget.note_request(NOW_S)
    assert sum(budget.take(NOW_S) for _ in range(100)) == 20
    assert sum(budget.take(NOW_S + 1200) for _ in range(100)) in (2, 3)  # what was is forgotten, but for a trace


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, b"{}", "rate_limited"),
        (529, b"{}", "overloaded"),
        (418, b"", "refused"),
        (507, b"", "server_error"),
        (400, b'{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}', "context_window"),
        (400, b'{"error":{"code":"context_length_exceeded","message":"maximum context length"}}', "context_window"),
        (400, b'{"error":{"code":"content_filter","message":"The response was filtered"}}', "content_policy"),
        (400, b'{"error":{"message":"Your credit balance is too low to access the API"}}', "out_of_credit"),
        (429, b'{"error":{"code":"insufficient_quota","message":"quota"}}', "out_of_credit"),
        (404, b'{"error":{"type":"not_found_error","message":"model: claude-9"}}', "not_served"),
        (404, b'{"error":{"message":"No response found with id resp_1"}}', "not_found"),
        (500, b'{"error":{"message":"context length"}}', "server_error"),
    ],
)
def test_a_refusal_is_told_by_its_words_before_its_status(status: int, body: bytes, kind: str) -> None:
    assert kind_of(status, reason_of(status, body)) == kind
    assert kind in MEANINGS


def test_fallbacks_are_found_by_any_name_of_the_model_then_by_the_star_then_by_default() -> None:
    rules = RoutingRules(fallbacks={"m": ("n",), "*": ("o",)}, default_fallbacks=("p",))
    assert rules.fallbacks_of(("alias", "m"), None) == ("n",)
    assert rules.fallbacks_of(("x",), "overloaded") == ("o",)
    assert RoutingRules(default_fallbacks=("p",)).fallbacks_of(("x",), None) == ("p",)
    assert rules.fallbacks_of(("m",), "context_window") == ()
