"""Usage times price is cost, exactly."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.pricing import NO_COST, Cost, PriceSheet, Rates, Tier, batch_sheet, cost_of, reported_cost
from app.domain.usage import Usage
from tests.domain.records import flat_rates

DOLLAR = 1_000_000_000

# Every class has a rate of its own, so that no class can be charged as another unnoticed. Dollars per million.
RATES = Rates(
    input=3 * DOLLAR,
    output=15 * DOLLAR,
    cache_read=3 * DOLLAR // 10,
    cache_write_5m=15 * DOLLAR // 4,
    cache_write_1h=6 * DOLLAR,
    reasoning=20 * DOLLAR,
    audio_input=40 * DOLLAR,
    audio_output=80 * DOLLAR,
    images=50_000 * DOLLAR,
    web_searches=10_000 * DOLLAR,
    file_searches=2_500 * DOLLAR,
)
SHEET = PriceSheet("test:1", "config", RATES, (Tier(200_000, flat_rates(100 * DOLLAR)),))

COUNT = st.integers(0, 3_000_000)
RATE = st.integers(0, 1_000 * DOLLAR)


@pytest.mark.parametrize(
    ("usage", "total"),
    [
        (Usage(), 0),
        (Usage(input=1000), 3_000_000),
        (Usage(output=1000), 15_000_000),
        (Usage(cache_read=1000), 300_000),
        (Usage(cache_write_5m=1000), 3_750_000),
        (Usage(cache_write_1h=1000), 6_000_000),
        (Usage(output=1000, reasoning=400), 600 * 15_000 + 400 * 20_000),
        (Usage(output=10, reasoning=10), 10 * 20_000),
        (Usage(audio_input=1000), 40_000_000),
        (Usage(audio_output=1000), 80_000_000),
        (Usage(images=2), DOLLAR // 10),
        (Usage(web_searches=3), 3 * DOLLAR // 100),
        (Usage(file_searches=4), DOLLAR // 100),
    ],
)
def test_each_class_of_tokens_is_charged_at_its_own_rate(usage: Usage, total: int) -> None:
    assert cost_of(usage, SHEET).total == total


def test_the_parts_of_a_receipt_name_what_was_charged() -> None:
    usage = Usage(input=1, cache_read=10, cache_write_5m=100, cache_write_1h=1000, output=10_000, web_searches=1)

    assert cost_of(usage, SHEET) == Cost(
        input=3_000,
        cache_read=3_000,
        cache_write=375_000 + 6_000_000,
        output=150_000_000,
        other=DOLLAR // 100,
        total=3_000 + 3_000 + 6_375_000 + 150_000_000 + DOLLAR // 100,
    )


def test_nothing_used_costs_nothing() -> None:
    assert cost_of(Usage(), SHEET) == NO_COST


def test_more_reasoning_than_output_is_charged_as_the_output_there_was() -> None:
    assert cost_of(Usage(output=5, reasoning=9), SHEET).total == 5 * 20_000


@pytest.mark.parametrize(
    ("usage", "over"),
    [
        (Usage(input=200_000), False),
        (Usage(input=200_001), True),
        (Usage(input=1, cache_read=199_999), False),
        (Usage(input=1, cache_read=100_000, cache_write_5m=50_000, cache_write_1h=50_000), True),
        (Usage(input=1, output=900_000), False),
    ],
)
def test_a_tier_counts_the_whole_prompt_and_begins_above_its_threshold(usage: Usage, over: bool) -> None:
    assert (SHEET.rates_for(usage.prompt_tokens) != RATES) is over


def test_the_highest_tier_that_was_passed_is_the_one_that_counts() -> None:
    sheet = PriceSheet("t", "config", flat_rates(1), (Tier(100, flat_rates(2)), Tier(200, flat_rates(3))))

    assert [sheet.rates_for(tokens).input for tokens in (0, 100, 101, 200, 201, 10**9)] == [1, 1, 2, 2, 3, 3]


@given(st.builds(Usage, COUNT, COUNT, COUNT, COUNT, COUNT), st.builds(Rates, *[RATE] * 8))
def test_the_total_is_within_half_a_nano_dollar_and_the_parts_add_up(usage: Usage, rates: Rates) -> None:
    cost = cost_of(usage, PriceSheet("t", "config", rates))

    exact = Fraction(
        usage.input * rates.input
        + usage.cache_read * rates.cache_read
        + usage.cache_write_5m * rates.cache_write_5m
        + usage.cache_write_1h * rates.cache_write_1h
        + usage.output * rates.output,
        1_000_000,
    )
    assert -Fraction(1, 2) < cost.total - exact <= Fraction(1, 2)
    parts = (cost.input, cost.cache_read, cost.cache_write, cost.output, cost.other)
    assert sum(parts) == cost.total
    assert min(parts) >= 0


@given(st.integers(0, 9_000_000 * DOLLAR))
def test_what_the_provider_says_is_the_whole_cost_and_of_no_class(amount: int) -> None:
    cost = reported_cost(amount)

    assert cost.total == cost.other == amount
    assert sum((cost.input, cost.cache_read, cost.cache_write, cost.output, cost.other)) == cost.total


@given(st.integers(0, 10**12), st.integers(1, 10**9))
def test_more_tokens_never_cost_less(tokens: int, rate: int) -> None:
    sheet = PriceSheet("t", "config", flat_rates(rate))

    assert cost_of(Usage(input=tokens + 1), sheet).total >= cost_of(Usage(input=tokens), sheet).total


@given(usage=st.builds(Usage, input=COUNT, cache_read=COUNT, output=COUNT, web_searches=COUNT), rate=RATE)
def test_a_batch_pays_exactly_half_of_every_class_rounded_once(usage: Usage, rate: int) -> None:
    sheet = PriceSheet("t", "config", flat_rates(rate), (Tier(200_000, flat_rates(rate + 1)),))
    cost = cost_of(usage, batch_sheet(sheet, "anthropic"))
    product = sum((usage.input, usage.cache_read, usage.output)) * sheet.rates_for(usage.prompt_tokens).input
    product += usage.web_searches * sheet.rates_for(usage.prompt_tokens).web_searches
    assert Fraction(-1, 2) < cost.total - Fraction(product, 2_000_000) <= Fraction(1, 2)
    assert cost.total == cost.input + cost.cache_read + cost.cache_write + cost.output + cost.other


def test_a_price_in_a_batch_has_a_version_of_its_own() -> None:
    assert batch_sheet(SHEET, "anthropic").version == "test:1:batch"
