"""What levels say of the response cache, and that no two requests share a digest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.caching import CacheWish, digest_of, parse_wish, parse_wish_header

PARTS = st.lists(st.binary(max_size=12), max_size=8)


@given(PARTS, PARTS)
def test_a_digest_is_that_of_one_sequence_alone(one: list[bytes], other: list[bytes]) -> None:
    assert (digest_of(one) == digest_of(other)) == (one == other)


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=6), st.integers(0, 80))
def test_where_one_part_ends_is_a_part_of_the_digest(parts: list[bytes], cut: int) -> None:
    whole = b"".join(parts)
    moved = [whole[:cut], whole[cut:]]
    assert (digest_of(moved) == digest_of(parts)) == (moved == parts)


def test_the_nearer_level_wins_in_what_it_says() -> None:
    team, request = parse_wish({"ttl": 60, "namespace": "faq"}), parse_wish({"no-cache": True, "ttl": 5})
    assert team == CacheWish(use=True, ttl_s=60, namespace="faq")
    assert team.overridden(request) == CacheWish(use=True, no_cache=True, ttl_s=5, namespace="faq")
    assert parse_wish_header("use-cache, s-maxage=30,tools") == CacheWish(use=True, most_age_s=30, tools=True)
    assert parse_wish({"no-cache": True}).use is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("yes", "must be true, false, or an object"), ({"tll": 5}, '"tll" is not known'),
        ({"ttl": 0}, '"ttl" must be a whole number'), ({"ttl": True}, '"ttl" must be a whole number'),
        ({"no-store": 1}, '"no-store" must be true or false'), ({"namespace": ""}, '"namespace" must be a text'),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_named(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_wish(value)
