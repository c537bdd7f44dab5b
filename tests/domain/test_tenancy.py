"""The names of levels: one word each, whatever is in their ids, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.budgets import Budget
from app.domain.limits import RateLimits
from app.domain.tenancy import Level, owners_in, scope_of, scopes_of
from tests.domain.records import EPOCH

ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)


@given(ids, ids)
def test_a_scope_is_one_word_that_says_whose_it_is(one: str, other: str) -> None:
    scopes = scopes_of("key_1", one, other, one, customer_id=other, tags=(one, other, one), project_id=one)

    assert [owners_in(scope) for scope in scopes] == [
        {"key_id": "key_1"},
        {"team_id": one, "user_id": other},
        {"project_id": one},
        {"team_id": one},
        {"user_id": other},
        {"organization_id": one},
        {"customer_id": other},
        *({"tag": tag} for tag in dict.fromkeys((one, other))),
        {},
    ]
    assert all(scope.split() == [scope] and "," not in scope for scope in scopes)


@given(st.tuples(ids, ids), st.tuples(ids, ids))
def test_two_members_never_share_a_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (scope_of("member", *one) == scope_of("member", *other)) is (one == other)


def test_a_receipt_counts_where_it_has_an_owner() -> None:
    assert scopes_of("key_1") == ("key_1", "platform")
    assert scopes_of("key_1", user_id="ada") == ("key_1", "user:ada", "platform")


@pytest.mark.parametrize(
    ("level", "sets"),
    [
        (Level("team", "team:t", 'team "t"'), False),
        (Level("team", "team:t", 'team "t"', models=("a",)), True),
        (Level("team", "team:t", 'team "t"', blocked=True), True),
        (Level("team", "team:t", 'team "t"', limits=(RateLimits(None, 0, None),)), True),
        (Level("team", "team:t", 'team "t"', budgets=(Budget("bud_1", 0, None, EPOCH, EPOCH),)), True),  # type: ignore[arg-type]
    ],
)
def test_a_level_without_rules_sets_nothing(level: Level, sets: bool) -> None:
    assert level.sets_something is sets
