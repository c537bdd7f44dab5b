"""What is learned from calls of one kind: little, bounded, and the same from the same calls."""

from hypothesis import given
from hypothesis import strategies as st

from app.domain.learning import LEAST_KNOWN, MOST_KINDS, REMEMBERED, Expected, Learning, Recent

values = st.lists(st.integers(0, 10**12), max_size=3 * REMEMBERED)


def test_nothing_is_known_of_a_kind_after_a_few_calls() -> None:
    learning = Learning()
    for _ in range(LEAST_KNOWN - 1):
        learning.observe("main", 1000, 300)
    assert learning.expected("main") is None
    learning.observe("main", 1000, 300)
    assert learning.expected("main") == Expected(1000, 300)


def test_one_long_answer_in_twenty_is_not_what_is_held_for_the_next() -> None:
    recent = Recent()
    for number in range(40):
        recent.add(8000 if number % 20 == 7 else 300)
    assert recent.upper == 300
    recent.add(8000)
    assert recent.upper == 8000


def test_what_was_long_ago_is_forgotten() -> None:
    recent = Recent()
    for _ in range(100):
        recent.add(8000)
    for _ in range(REMEMBERED):
        recent.add(300)
    assert recent.upper == 300


@given(values)
def test_at_most_one_in_twenty_of_those_remembered_is_above_what_is_expected(seen: list[int]) -> None:
    recent = Recent()
    for value in seen:
        recent.add(value)
    remembered = seen[-REMEMBERED:]
    if len(seen) < LEAST_KNOWN:
        assert recent.upper is None
    else:
        assert recent.upper in remembered
        assert sum(value > recent.upper for value in remembered) <= len(remembered) / 20
        assert sum(value >= recent.upper for value in remembered) > len(remembered) / 20


def test_the_kinds_are_bounded_and_the_oldest_goes_first() -> None:
    learning = Learning()
    for kind in range(MOST_KINDS + 1):
        for _ in range(LEAST_KNOWN):
            learning.observe(kind, 1000, 300)
    assert learning.expected(0) is None
    assert all(learning.expected(kind) for kind in range(1, MOST_KINDS + 1))
