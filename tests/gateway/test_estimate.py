"""What is held for a call before it runs."""

import base64
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.pricing import Tier
from app.domain.usage import Usage
from app.gateway.estimate import DEFAULT_MAX_OUTPUT_TOKENS, estimate, input_tokens, most_of_input
from tests.gateway.examples import SHEET


def test_the_hold_is_the_whole_body_and_all_the_output_that_the_caller_allows() -> None:
    held = estimate(b"x" * 400, 1000, SHEET)
    assert held.usage == Usage(input=100, output=1000)
    assert held.hold_nanousd == 100 * 3_000 + 1000 * 15_000


def test_a_caller_who_names_no_maximum_is_held_at_the_default() -> None:
    assert estimate(b"xxxx", None, SHEET).usage.output == DEFAULT_MAX_OUTPUT_TOKENS


@pytest.mark.parametrize(
    ("mark", "nanousd_per_token"),
    [(b'"cache_control":{"type":"ephemeral"}', 3_750), (b'"cache_control":{"type":"ephemeral","ttl":"1h"}', 6_000)],
)
def test_a_prompt_that_is_to_be_cached_is_held_at_the_price_of_writing_it(mark: bytes, nanousd_per_token: int) -> None:
    held = estimate(mark, 0, SHEET)
    assert held.hold_nanousd == held.usage.input * nanousd_per_token


def test_a_long_prompt_is_held_at_the_rates_of_its_tier() -> None:
    dearer = replace(SHEET.rates, input=6_000_000_000)
    sheet = replace(SHEET, tiers=(Tier(1_000, dearer),))
    assert estimate(b"x" * 8_000, 0, sheet).hold_nanousd == 2_000 * 6_000


def test_a_picture_is_not_taken_for_a_novel() -> None:
    picture = base64.b64encode(os.urandom(100_000))
    body = b'{"source":{"type":"base64","data":"' + picture + b'"}}'
    assert 1_000 < estimate(body, 0, SHEET).usage.input < 3_000


@given(st.binary(max_size=9000), st.integers(4096, 12_000), st.binary(max_size=9000))
def test_binary_is_found_wherever_it_stands(before: bytes, size: int, after: bytes) -> None:
    body = before.replace(b"base64", b"") + b'"base64","' + b"A" * size + b'"' + after
    assert input_tokens(body) <= (len(body) - size) // 4 + size // 64 + 2


def test_no_token_is_shorter_than_a_byte_and_a_picture_has_thousands() -> None:
    assert most_of_input(b"x" * 1000, SHEET) >= 1000 * 3_000
    assert most_of_input(b'"cache_control":{"ttl":"1h"}', SHEET) >= 28 * 6_000
    picture = base64.b64encode(os.urandom(6_000))
    body = b'{"type":"base64","data":"' + picture + b'"}'
    assert 5_000 * 3_000 <= most_of_input(body, SHEET) <= 6_000 * 3_000
