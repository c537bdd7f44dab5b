"""Where the limits stand, in the headers that each protocol's clients read."""

from datetime import UTC, datetime

import pytest

from app.base.ids import BudgetId
from app.domain.spend import Admitted, BudgetClaim, BudgetStanding, RateStanding
from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.codec import Codec
from app.protocols.openai_chat.codec import OpenAIChat

AT_UNIX = 1_795_219_200  # 2026-11-21T00:00:00Z
RATES = Admitted(RateStanding(60, 59, 12), RateStanding(100_000, -5, 48), ())
PREFIX = "anthropic-ratelimit-unified-"


def headers_of(codec: Codec, admitted: Admitted) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in codec.limit_headers(admitted, AT_UNIX)}


def budget(spent: int, limit: int = 1000, held: int = 0, *, day: int = 1, endless: bool = False) -> BudgetStanding:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    end = None if endless else datetime(2026, 12, day, tzinfo=UTC)
    claim = BudgetClaim(f"b{day}", BudgetId("budget_1"), "key_1", limit, 1, start, end, start)
    return BudgetStanding(claim, spent, held)


def unified(*budgets: BudgetStanding) -> dict[str, str]:
    headers = headers_of(AnthropicMessages(), Admitted(None, None, budgets))
    assert all(name.startswith(PREFIX) for name in headers)
    return {name.removeprefix(PREFIX): value for name, value in headers.items()}


def test_anthropics_rate_headers_name_the_instant_of_the_reset() -> None:
    assert headers_of(AnthropicMessages(), RATES) == {
        "anthropic-ratelimit-requests-limit": "60",
        "anthropic-ratelimit-requests-remaining": "59",
        "anthropic-ratelimit-requests-reset": "2026-11-21T00:00:12Z",
        "anthropic-ratelimit-tokens-limit": "100000",
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2026-11-21T00:00:48Z",
    }


def test_openais_rate_headers_name_the_time_to_the_reset() -> None:
    assert headers_of(OpenAIChat(), RATES) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "12s",
        "x-ratelimit-limit-tokens": "100000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "48s",
    }


def test_nothing_limited_is_nothing_said() -> None:
    for codec in (AnthropicMessages(), OpenAIChat()):
        assert headers_of(codec, Admitted(None, None, ())) == {}
    assert headers_of(OpenAIChat(), Admitted(None, None, (budget(5),))) == {}


@pytest.mark.parametrize(
    ("spent", "status", "utilization", "threshold"),
    [
        (-3, "allowed", "0.00", None),
        (0, "allowed", "0.00", None),
        (9, "allowed", "0.00", None),
        (749, "allowed", "0.74", None),
        (750, "allowed_warning", "0.75", "0.75"),
        (949, "allowed_warning", "0.94", "0.75"),
        (950, "allowed_warning", "0.95", "0.95"),
        (1000, "allowed_warning", "0.99", "0.95"),
        (1500, "allowed_warning", "0.99", "0.95"),
    ],
)
def test_a_budget_warns_from_three_quarters_on(
    spent: int, status: str, utilization: str, threshold: str | None
) -> None:
    reset = str(int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()))
    assert unified(budget(spent)) == {
        "status": status,
        "representative-claim": "overage",
        "overage-status": status,
        "overage-utilization": utilization,
        "reset": reset,
        "overage-reset": reset,
    } | ({} if threshold is None else {"overage-surpassed-threshold": threshold})


def test_what_running_requests_hold_is_not_spent() -> None:
    assert unified(budget(100, held=900))["overage-utilization"] == "0.10"


def test_the_most_used_budget_speaks() -> None:
    found = unified(budget(900, 10_000, day=2), budget(80, 100, day=3), budget(300, 1000, day=4))
    assert found["overage-utilization"] == "0.80"
    assert found["reset"] == str(int(datetime(2026, 12, 3, tzinfo=UTC).timestamp()))


def test_a_budget_without_end_names_no_reset() -> None:
    assert not {name for name in unified(budget(990, endless=True)) if "reset" in name}


def test_a_budget_of_nothing_is_spent() -> None:
    assert unified(budget(0, limit=0))["overage-utilization"] == "0.99"
