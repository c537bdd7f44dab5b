"""What a call costs by all that is known: whose price holds when, with which discount, at which service tier."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.price_list import DatedPrice, DatedTerm, PriceKind, PriceList, TermKind
from app.domain.pricing import (
    BILLION,
    PriceSheet,
    Rates,
    Service,
    Terms,
    Tier,
    always,
    at_service,
    batch_sheet,
    cost_of,
    with_terms,
)
from app.domain.usage import Usage
from app.providers.price_book import PriceBook
from app.providers.prices import LivePrices
from tests.domain.records import deployment, flat_rates
from tests.fakes.prices import bundled_prices

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def sheet(version: str, source: str = "database") -> PriceSheet:
    return PriceSheet(version, source, flat_rates(1))  # type: ignore[arg-type]  # any of the sources


CLAUDE = deployment("claude-x-20260101", prices=always(sheet("bundled", "bundled")))
OF_FILE = deployment("claude-x-20260101", prices=always(sheet("file", "config")))


def price(
    version: str | None, since: datetime, kind: PriceKind = "own", model: str = "claude-x", owner: str | None = None
) -> DatedPrice:
    found = None if version is None else sheet(version, "database" if kind == "own" else "imported")
    return DatedPrice(f"prc_{version}", kind, "anthropic", model, owner, since, found)


def term(kind: TermKind, provider: str, share: int | None, owner: str | None = None, fixed: int = 0) -> DatedTerm:
    return DatedTerm(kind, provider, owner, NOON, share, fixed)


def live(*listed: DatedPrice | DatedTerm, terms: dict[str, Terms] | None = None) -> LivePrices:
    prices = LivePrices(terms)
    dated_prices = [one for one in listed if isinstance(one, DatedPrice)]
    prices.replace(PriceList(dated_prices, [one for one in listed if isinstance(one, DatedTerm)]))
    return prices


def test_a_call_has_the_price_that_was_in_force_when_it_started() -> None:
    prices = live(price("second", NOON), price("first", NOON - 9 * SECOND), price("third", NOON + 9 * SECOND))

    found = [prices.sheet(CLAUDE, None, NOON + n * SECOND).version for n in (-10, -9, -1, 0, 8, 9, 10**6)]

    assert found == ["bundled", "first", "first", "second", "second", "third", "third"]


def test_an_organizations_price_comes_before_an_admins_the_files_an_imported_and_the_bundled_one() -> None:
    for_us, for_all = price("ours", NOON, owner="org_1"), price("all", NOON)
    imported = price("list", NOON, "imported")

    assert live(for_us, for_all, imported).sheet(OF_FILE, "org_1", NOON).version == "ours"
    assert live(for_us, for_all, imported).sheet(OF_FILE, "org_2", NOON).version == "all"
    assert live(for_us, imported).sheet(OF_FILE, "org_2", NOON).version == "file"
    assert live(for_us, imported).sheet(CLAUDE, None, NOON).version == "list"
    assert live(for_us).sheet(CLAUDE, None, NOON).version == "bundled"


def test_a_price_that_is_withdrawn_leaves_the_next_one_in_the_order() -> None:
    prices = live(price("own", NOON - SECOND), price(None, NOON), price("list", NOON - SECOND, "imported"))

    assert [prices.sheet(CLAUDE, None, at).version for at in (NOON - SECOND, NOON)] == ["own", "list"]


def test_a_price_of_the_dated_name_comes_before_that_of_the_plain_one() -> None:
    prices = live(price("plain", NOON), price("dated", NOON, model="claude-x-20260101"))

    assert prices.sheet(CLAUDE, None, NOON).version == "dated"
    assert prices.sheet(replace(CLAUDE, upstream_model="Claude-X"), None, NOON).version == "plain"
    assert prices.sheet(replace(CLAUDE, provider="openai"), None, NOON).version == "bundled"


def test_an_imported_list_prices_nothing_that_is_free_by_rule() -> None:
    local = replace(CLAUDE, prices=always(sheet("free", "local")))

    assert live(price("list", NOON, "imported")).sheet(local, None, NOON).version == "free"
    assert live(price("own", NOON)).sheet(local, None, NOON).version == "own"


@pytest.mark.parametrize(
    ("owner", "terms"),
    [("org_1", Terms(10, 40, 7)), ("org_2", Terms(20, 50, 8)), (None, Terms(20, 50, 8))],
)
def test_the_nearest_discount_and_the_nearest_margin_hold_each_for_itself(owner: str | None, terms: Terms) -> None:
    prices = live(
        term("discount", "anthropic", 10, "org_1"),
        term("discount", "anthropic", 20),
        term("discount", "*", 30),
        term("margin", "*", 40, "org_1", fixed=7),
        term("margin", "anthropic", 50, fixed=8),
        terms={"anthropic": Terms(60, 70, 9)},
    )

    assert prices.sheet(CLAUDE, owner, NOON).terms == terms
    assert prices.sheet(CLAUDE, owner, NOON - SECOND).terms == Terms(60, 70, 9)


def test_terms_that_are_taken_back_leave_the_files() -> None:
    prices = live(term("discount", "anthropic", None), terms={"anthropic": Terms(60), "*": Terms(0, 70, 9)})

    assert prices.sheet(CLAUDE, None, NOON).terms == Terms(60, 70, 9)


# Rates that differ in each class and tier, in dollars per million (pieces: dollars each).
RATES = Rates(
    input=3_000_000_001, output=15_000_000_007, cache_read=300_000_003, cache_write_5m=3_750_000_009,
    cache_write_1h=6_000_000_011, reasoning=20_000_000_013, audio_input=40_000_000_017, audio_output=80_000_000_019,
    images=50_000_000_000_023, web_searches=10_000_000_000_029, file_searches=2_500_000_000_037,
)  # fmt: skip
ABOVE = Rates(*(rate * 2 + 1 for rate in (RATES.input, RATES.output, RATES.cache_read, RATES.cache_write_5m,
    RATES.cache_write_1h, RATES.reasoning, RATES.audio_input, RATES.audio_output, RATES.images, RATES.web_searches,
    RATES.file_searches,
)))  # fmt: skip
OWN_FLEX = Rates(*(7_000_000_031,) * 11)
BASE = PriceSheet(
    "base",
    "config",
    RATES,
    (Tier(200_000, ABOVE),),
    services=(
        Service("batch", 1, 2, pieces=True),
        Service("priority", 7, 4),
        Service("fast", 6),
        Service("us", 11, 10),
        Service("flex", rates=OWN_FLEX),
    ),
)
FACTORS = {
    "": ("1", "1"),
    "priority": ("1.75", "1"),
    "batch": ("0.5", "0.5"),
    "fast+us": ("6.6", "1"),
    "scale": ("1", "1"),
}
TERMS = [Terms(), Terms(discount=50_000_000), Terms(margin=333_333_333, fixed_nanousd=500_001), Terms(BILLION, 0, 3)]
USAGES = [
    Usage(1, 0, 0, 0, 1),
    Usage(1001, 2003, 3001, 4001, 5003, 2001, 67, 71, 3, 5),
    Usage(200_000, 0, 0, 0, 999, 0),
    Usage(199_999, 1, 1, 0, 999, 998),
    Usage(0, 0, 0, 0, 0, 0, 0, 0, 1, 1),
    Usage(file_searches=3),
]
TOKEN_CLASSES = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "reasoning", "audio_input", "audio_output")


def by_hand(usage: Usage, service: str, terms: Terms) -> int:
    """Decimals alone, from the definition: never the product's own arithmetic."""
    rates = ABOVE if usage.prompt_tokens > 200_000 else RATES
    of_tokens, of_pieces = (Decimal(factor) for factor in FACTORS[service])
    tokens = sum(Decimal(getattr(usage, name)) * getattr(rates, name) for name in TOKEN_CLASSES)
    tokens += Decimal(usage.output - usage.reasoning) * rates.output
    pieces = Decimal(usage.images) * rates.images + Decimal(usage.web_searches) * rates.web_searches
    pieces += Decimal(usage.file_searches) * rates.file_searches
    listed = (tokens * of_tokens + pieces * of_pieces) / Decimal(1_000_000)
    charged = listed * (1 - Decimal(terms.discount) / BILLION) * (1 + Decimal(terms.margin) / BILLION)
    return int(charged.to_integral_value(ROUND_HALF_UP)) + terms.fixed_nanousd


@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize("service", FACTORS)
@pytest.mark.parametrize("terms", TERMS)
def test_every_tier_at_every_service_with_every_discount_and_margin_is_exact_to_the_nano_dollar(
    usage: Usage, service: str, terms: Terms
) -> None:
    charged = at_service(with_terms(BASE, terms), service)
    cost = cost_of(usage, charged)

    assert cost.total == by_hand(usage, service, terms)
    assert cost.total == cost.input + cost.cache_read + cost.cache_write + cost.output + cost.other
    assert cost == cost_of(usage, with_terms(at_service(BASE, service), terms))


def test_a_service_with_rates_of_its_own_has_them_discounted_too() -> None:
    charged = at_service(with_terms(BASE, Terms(discount=BILLION // 2)), "flex")

    assert cost_of(Usage(input=2_000_000), charged).total == 7_000_000_031


def test_a_version_tells_the_book_the_terms_and_the_service() -> None:
    terms = Terms(discount=50_000_000, margin=100_000_000, fixed_nanousd=500_000)
    charged = batch_sheet(with_terms(BASE, terms), "anthropic")

    assert charged.version == "base:off=0.05:on=0.1:fee=0.000500:batch"


@given(
    st.lists(st.builds(Usage, *[st.integers(0, 3_000_000)] * 5), max_size=20),
    st.builds(Terms, st.integers(0, BILLION), st.integers(0, 10 * BILLION), st.integers(0, 10**9)),
)
def test_receipts_add_up_to_their_totals_whatever_the_terms(usages: list[Usage], terms: Terms) -> None:
    costs = [cost_of(usage, with_terms(BASE, terms)) for usage in usages]

    classes = [
        sum(getattr(cost, name) for cost in costs) for name in ("input", "cache_read", "cache_write", "output", "other")
    ]
    assert sum(classes) == sum(cost.total for cost in costs)
    assert all(min(cost.input, cost.cache_read, cost.cache_write, cost.output, cost.other) >= 0 for cost in costs)


# Dollars by hand from the providers' price lists.
@pytest.mark.parametrize(
    ("provider", "model", "service", "usage", "dollars"),
    [
        ("anthropic", "claude-opus-4-6", "fast", Usage(input=1000, output=1000), "0.18"),
        ("anthropic", "claude-opus-4-6", "us", Usage(input=1000, output=1000), "0.033"),
        ("anthropic", "claude-opus-5", "fast", Usage(input=1000, output=1000), "0.06"),
        ("anthropic", "claude-sonnet-4-5", "batch", Usage(input=1000, output=1000), "0.009"),
        ("openai", "gpt-5", "priority", Usage(input=1000, cache_read=1000, output=1000), "0.02275"),
        ("openai", "gpt-5", "flex", Usage(input=1000, output=1000), "0.005625"),
        ("openai", "gpt-5", "batch", Usage(input=1000, output=1000), "0.005625"),
        ("openai", "gpt-4o-2024-08-06", "priority", Usage(input=1000, cache_read=1000, output=1000), "0.023375"),
        ("openai", "gpt-4o-mini", "priority", Usage(input=1000, cache_read=1000, output=1000), "0.001375"),
        ("openai", "gpt-4.1", "priority", Usage(input=1000, cache_read=1000, output=1000), "0.018375"),
        ("openai", "o4-mini", "priority", Usage(input=1000, output=1000), "0.010"),
        ("azure", "gpt-5.5", "priority", Usage(output=1000), "0.075"),
        ("gemini", "gemini-2.5-pro", "flex", Usage(input=1000), "0.000625"),
        ("groq", "llama-3.3-70b-versatile", "flex", Usage(input=1_000_000), "0.59"),
    ],
)
def test_service_tiers_cost_what_their_providers_publish(
    provider: str, model: str, service: str, usage: Usage, dollars: str
) -> None:
    found = PriceBook(bundled_prices()).find(provider, model)

    assert found is not None
    assert cost_of(usage, at_service(found, service)).total == int(Decimal(dollars) * 10**9)
