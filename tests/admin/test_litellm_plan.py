"""The plan of a take-over from LiteLLM: what becomes of its rows, without any store."""

import hashlib
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.admin.litellm import rows as tables
from app.admin.litellm.draft import Plan, Present
from app.admin.litellm.plan import make_plan
from app.admin.litellm.rows import Row, read_tables
from app.base.errors import Unprocessable
from app.base.money import parse_usd
from app.domain.keys import digest_key

PEPPER = b"pepper"
NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
KINDS = ("organization", "user", "team", "budget", "customer", "tag")


def nothing() -> Present:
    return Present({kind: set() for kind in KINDS}, set(), set(), set(), set(), set(), set(), set(), set())


def plan(present: Present | None = None, **rows: Any) -> Plan:
    found = read_tables(msgspec.json.encode({getattr(tables, name): listed for name, listed in rows.items()}))
    return make_plan(found, present or nothing(), PEPPER, NOON)


def key(name: str, **columns: Any) -> dict[str, Any]:
    return {"token": hashlib.sha256(f"sk-{name}".encode()).hexdigest(), "key_name": "sk-...abcd", **columns}


def columns(made: Plan, kind: str) -> list[dict[str, Any]]:
    return [dict(thing.columns) for thing in made.things if thing.kind == kind]


def test_a_key_is_known_by_what_litellm_keeps_of_it() -> None:
    [made] = columns(plan(KEYS=[key("of-ada")]), "key")
    assert made["digest"] == digest_key(PEPPER, "sk-of-ada")
    assert made["last_four"] == "abcd"


def test_a_key_keeps_its_fallbacks_for_spent_budgets() -> None:
    [made] = columns(plan(KEYS=[key("of-ada", budget_fallbacks={"opus": ["sonnet", 3], "gpt": "x"})]), "key")
    assert made["budget_fallbacks"] == {"opus": ["sonnet"], "gpt": []}


def test_what_people_keep_for_themselves_stays_as_it_was() -> None:
    metadata = {"share": 0.5, "deep": [{"n": 1.25}], "tags": ["a"]}
    [made] = columns(plan(KEYS=[key("1", metadata=metadata)]), "key")
    assert (made["metadata"], made["tags"]) == ({"share": 0.5, "deep": [{"n": 1.25}]}, ["a"])


def test_very_old_versions_kept_the_key_itself() -> None:
    [made] = columns(plan(KEYS=[{"token": "sk-of-ada"}]), "key")
    assert made["digest"] == digest_key(PEPPER, "sk-of-ada")


def test_what_is_there_is_left_as_it_is_and_its_spend_is_not_booked_twice() -> None:
    present = nothing()
    present.digests.add(digest_key(PEPPER, "sk-of-ada"))
    present.ids["team"].add("t")
    spent = {"api_key": key("of-ada")["token"], "date": "2026-11-17", "spend": 2.5}
    made = plan(present, TEAMS=[{"team_id": "t"}], KEYS=[key("of-ada", spend=9)], DAILY_SPEND=[spent])
    assert (made.things, made.receipts) == ([], [])
    assert made.there == Counter({"team": 1, "key": 1})


def test_names_that_are_taken_get_a_number() -> None:
    present = nothing()
    present.key_aliases.add("laptop")
    made = columns(plan(present, KEYS=[key("1", key_alias="laptop"), key("2", key_alias="laptop")]), "key")
    assert [one["key_alias"] for one in made] == ["laptop (2)", "laptop (3)"]


def test_a_budget_that_one_organization_names_is_its_own_and_one_of_keys_is_shared() -> None:
    budgets = [
        {"budget_id": "of-org", "max_budget": 10, "budget_duration": "30d", "rpm_limit": 5},
        {"budget_id": "tier", "max_budget": 1},
    ]
    made = plan(
        BUDGETS=budgets,
        ORGANIZATIONS=[{"organization_id": "o", "organization_alias": "physics", "budget_id": "of-org"}],
        KEYS=[key("1", budget_id="tier")],
    )
    [organization] = [thing for thing in made.things if thing.kind == "organization"]
    assert organization.budget is not None
    assert organization.budget["limit_nanousd"] == 10_000_000_000
    assert organization.columns["budget_id"] == organization.budget["budget_id"] != "of-org"
    assert organization.columns["requests_per_minute"] == 5
    [shared] = columns(made, "budget")
    assert (shared["budget_id"], shared["shared"]) == ("tier", True)
    assert columns(made, "key")[0]["budget_id"] == "tier"


def test_the_window_goes_on_as_it_ran() -> None:
    row = key("1", max_budget=5, budget_duration="15d", budget_reset_at="2026-11-20T00:00:00", spend=3)
    days = [
        {"api_key": row["token"], "date": "2026-11-06", "spend": 1},
        {"api_key": row["token"], "date": "2026-11-04", "spend": 7},
    ]
    made = plan(KEYS=[row], DAILY_SPEND=days)
    # The window began on the 5th: of the counter's 3 dollars one has its day, and two are booked now.
    assert sorted(receipt.cost.total for receipt in made.receipts) == [1 * 10**9, 2 * 10**9, 7 * 10**9]
    assert [receipt.started_at for receipt in made.receipts if receipt.cost.total == 2 * 10**9] == [NOON]


@pytest.mark.parametrize(
    ("rows", "left"),
    [
        ({"KEYS": [key("1", team_id="gone", key_alias="x")]}, "keys of teams that are gone"),
        ({"KEYS": [{"token": "short", "key_alias": "x"}]}, "keys whose hash cannot be read"),
        ({"KEYS": [key("1", key_alias="x", expires="soon")]}, "keys whose expiry cannot be read"),
        ({"KEYS": [key("1", key_alias="x", max_budget=1e12)]}, "max_budget that cannot be held"),
        ({"KEYS": [key("1", key_alias="x", budget_duration="monthly")]}, "budget_duration that cannot be read"),
        (
            {"KEYS": [key("1", model_max_budget={"gpt-5": {"budget_limit": "much"}})]},
            "model_max_budget that cannot be read",
        ),
        ({"KEYS": [key("1", budget_limits=[{"budget_duration": "1d"}])]}, "budget_limits that cannot be read"),
        ({"KEYS": [key("1", access_group_ids=["g"])]}, "access_group_ids of keys"),
        ({"USERS": [{"user_id": "x", "sso_user_id": "y"}]}, "sso_user_id of users"),
        ({"TEAMS": [{"team_id": "x", "members_with_roles": [{"user_email": "a@b"}]}]}, "members without an id"),
    ],
)
def test_what_is_not_carried_over_is_named(rows: dict[str, list[dict[str, Any]]], left: str) -> None:
    found: Any = rows
    assert left in plan(**found).left


def test_budgets_by_model_and_of_several_windows_come_along() -> None:
    row = key(
        "1",
        model_max_budget={"gpt-5": {"budget_limit": "0.0000001", "time_period": "1d"}, "o3": 2},
        budget_limits=[{"budget_duration": "7d", "max_budget": 5, "reset_at": "2026-11-23"}],
        tpd_limit=9,
        metadata={"model_rpm_limit": {"gpt-5": 60}, "own": 1},
    )
    [thing] = [thing for thing in plan(KEYS=[row]).things if thing.kind == "key"]
    assert thing.budget is not None
    assert thing.budget["model_budgets"] == {
        "gpt-5": {"limit_nanousd": 100, "duration": "1d"},
        "o3": {"limit_nanousd": 2 * 10**9, "duration": None},
    }
    assert thing.budget["windows"] == [{"duration": "7d", "limit_nanousd": 5 * 10**9}]
    assert (thing.columns["tokens_per_day"], thing.columns["model_requests_per_minute"]) == (9, {"gpt-5": 60})
    assert thing.columns["metadata"] == {"own": 1}


def test_users_who_share_an_address_keep_it_once() -> None:
    users = [{"user_id": "1", "user_email": "Ada@x.example"}, {"user_id": "2", "user_email": "ada@X.example"}]
    made = plan(USERS=users)
    assert [user["user_email"] for user in columns(made, "user")] == ["Ada@x.example", None]
    assert made.left["user_email that another user has"] == ["2 (ada@X.example)"]


def test_everything_is_made_before_what_names_it() -> None:
    made = plan(
        TEAMS=[{"team_id": "t", "organization_id": "o", "members_with_roles": [{"user_id": "u", "role": "admin"}]}],
        ORGANIZATIONS=[{"organization_id": "o", "organization_alias": "o", "budget_id": "b"}],
        KEYS=[key("1", team_id="t", user_id="v")],
        CUSTOMERS=[{"user_id": "c"}],
    )
    assert Counter(thing.kind for thing in made.things) == Counter(
        {"organization": 1, "team": 1, "user": 2, "membership": 1, "customer": 1, "key": 1}
    )
    assert columns(made, "key")[0]["organization_id"] == "o"


@pytest.mark.parametrize("raw", [b"[]", b"{", b'{"LiteLLM_TeamTable": {}}', b'{"Teams": []}', b'"' + b"\xff" + b'"',
                                 b'{"LiteLLM_TeamTable": [{"team_id": "a\\u0000"}]}'])  # fmt: skip
def test_what_are_no_tables_is_refused(raw: bytes) -> None:
    with pytest.raises(Unprocessable):
        read_tables(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.decimals(-5, 10, places=3) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


COLUMNS = (
    "spend", "models", "metadata", "expires", "blocked", "aliases", "tpm_limit", "max_budget", "budget_duration",
    "team_id", "user_id", "key_name", "allowed_routes", "model_max_budget", "budget_limits", "model_rpm_limit",
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the strategy
@given(st.dictionaries(st.sampled_from(COLUMNS), JSON))
def test_a_row_of_any_content_makes_a_key_or_is_left(content: dict[str, Any]) -> None:
    found: dict[str, list[Row]] = {name: [] for name in tables.TABLES}
    found[tables.KEYS] = [Row({**key("1"), **content})]
    made = make_plan(found, nothing(), PEPPER, NOON)
    left = [names for what, names in made.left.items() if what.startswith("keys ")]
    assert len(columns(made, "key")) + sum(map(len, left)) == 1


@given(
    st.lists(st.tuples(st.integers(1, 17), st.decimals(0, 1_000, places=12)), max_size=8),
    st.decimals(0, 10_000, places=12),
)
def test_a_key_has_spent_what_its_days_say_or_its_counter_whichever_is_more(
    days: list[tuple[int, Decimal]], counter: Decimal
) -> None:
    row = key("1")
    found: dict[str, list[Row]] = {name: [] for name in tables.TABLES}
    found[tables.KEYS] = [Row({**row, "spend": counter})]
    found[tables.DAILY_SPEND] = [
        Row({"api_key": row["token"], "date": f"2026-11-{day:02}", "spend": spend}) for day, spend in days
    ]
    made = make_plan(found, nothing(), PEPPER, NOON)
    booked = sum(receipt.cost.total for receipt in made.receipts)
    of_days = sum(parse_usd(spend) for _, spend in days)
    assert 0 <= max(of_days, parse_usd(counter)) - booked <= 1_000
    assert len({receipt.request_id for receipt in made.receipts}) == len(made.receipts)
    assert all(receipt.started_at <= NOON for receipt in made.receipts)
