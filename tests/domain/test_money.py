"""Dollars in, nano-dollars inside, dollars out; nothing lost between."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base.money import LARGEST_AMOUNT, format_usd, parse_usd, price_per_million, round_per_million


@pytest.mark.parametrize(
    ("written", "nanousd"),
    [
        ("0.003150", 3_150_000),
        ("12", 12_000_000_000),
        (12, 12_000_000_000),
        ("3e-06", 3_000),
        ("0", 0),
        ("-1.5", -1_500_000_000),
        ("0.0000000005", 1),
        ("0.00000000049", 0),
        (Decimal("0.1"), 100_000_000),
    ],
)
def test_dollars_are_read_exactly_and_rounded_half_up_beyond_the_ninth_decimal(
    written: str | int | Decimal, nanousd: int
) -> None:
    assert parse_usd(written) == nanousd


@pytest.mark.parametrize("written", ["", "a", "NaN", "Infinity", "-inf", "1,5", "0x10", "9000000.000000001", "1e400"])
def test_what_is_no_amount_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="dollars"):
        parse_usd(written)


@pytest.mark.parametrize(
    ("nanousd", "written"),
    [
        (0, "0.000000"),
        (3_150_000, "0.003150"),
        (1, "0.000000001"),
        (1_522_500_000, "1.522500"),
        (-1_500_000_000, "-1.500000"),
        (-1, "-0.000000001"),
        (123_456_789_012, "123.456789012"),
    ],
)
def test_amounts_are_written_with_six_to_nine_decimals(nanousd: int, written: str) -> None:
    assert format_usd(nanousd) == written


@given(st.integers(-LARGEST_AMOUNT, LARGEST_AMOUNT))
def test_what_is_written_reads_back_the_same(nanousd: int) -> None:
    assert parse_usd(format_usd(nanousd)) == nanousd


@pytest.mark.parametrize(
    ("per_token", "per_million"), [("3e-06", 3_000_000_000), ("0.0000000025", 2_500_000), ("0", 0), (1, 10**15)]
)
def test_a_price_of_a_token_becomes_an_integer_price_of_a_million(per_token: str | int, per_million: int) -> None:
    assert price_per_million(per_token) == per_million


@pytest.mark.parametrize("written", ["-0.01", "NaN", "free", "-Infinity"])
def test_a_price_that_cannot_be_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="price"):
        price_per_million(written)


@given(st.integers(0, 10**24))
def test_rounding_is_half_up_and_within_half_a_nano_dollar(product: int) -> None:
    difference = round_per_million(product) - Fraction(product, 1_000_000)

    assert -Fraction(1, 2) < difference <= Fraction(1, 2)
