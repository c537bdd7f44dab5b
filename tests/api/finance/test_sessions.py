"""Sessions: what they list and how one grows into a tree adds up to its receipts, for each role its own."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner

from app.admin.sessions import grow_tree
from app.base.ids import new_id
from app.cli import sessions as command
from app.cli.client import Answer as CommandAnswer
from app.storage.postgres.reports import Amounts
from app.storage.postgres.sessions import SessionCell
from tests.api.support import Door

AT = datetime(2025, 5, 6, 7, tzinfo=UTC)


async def a_session(door: Door) -> tuple[str, str, str]:
    """The session, and the keys of its developer and of somebody else."""
    mark, user = new_id("s"), new_id("u")
    await door.post("/user/new", {"user_id": user, "auto_create_key": False})
    mine, other = await door.new_key(user_id=user), await door.new_key()
    for minute, cost, agent, parent, prompt, model in (
        (0, 1_000_000_001, None, None, "p1", "opus"),
        (1, 20_000_002, "a1", None, "p1", "sonnet"),
        (2, 3_000_003, "a2", "a1", "p1", "haiku"),
        (3, 400_004, None, None, "p2", "opus"),
    ):
        await door.book(
            mine["token"], AT + timedelta(minutes=minute), cost, user_id=user, session_id=mark, agent_id=agent,
            parent_agent_id=parent, agent_type="explore" if agent else None, prompt_id=prompt, model_served=model,
            cache_read_tokens=30, request_class="subagent" if agent else "main", project="shop",
        )  # fmt: skip
    await door.book(mine["token"], AT, 7, user_id=user, session_id=f"{mark}-small")
    await door.book(other["token"], AT, 5_000_000_000_000, session_id=mark)
    return mark, mine["key"], other["key"]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.mark.services
async def test_a_session_is_the_tree_of_its_agents_and_adds_up_to_its_receipts(
    admin_door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, mine, other = await a_session(admin_door)
    answer = await admin_door.get(f"/spend/sessions/{mark}", headers=bearer(mine))
    told = answer.fields
    assert (told["cost"], told["requests"]) == (Decimal("1.02340001"), 4), "not the calls of somebody else"
    assert (told["cache_hit_share"], told["models"]) == (Decimal("0.75"), ["haiku", "opus", "sonnet"])
    assert told["elapsed_ms"] == 181_500
    main = told["agent"]
    assert [(turn["prompt_id"], turn["cost"]) for turn in main["turns"]] == [
        ("p1", Decimal("1.000000001")), ("p2", Decimal("0.000400004")),
    ]  # fmt: skip
    (first,) = main["agents"]
    (second,) = first["agents"]
    assert (first["agent_id"], first["agent_type"], first["own"]["cost"]) == ("a1", "explore", Decimal("0.020000002"))
    assert first["cost"] == first["own"]["cost"] + second["cost"]
    assert main["cost"] == main["own"]["cost"] + first["cost"] == told["cost"]
    everything = (await admin_door.get(f"/spend/sessions/{mark}")).fields
    assert everything["cost"] == told["cost"] + 5000
    assert (await admin_door.get(f"/spend/sessions/{mark}-small", headers=bearer(other))).status == 404

    monkeypatch.setattr(command, "call", lambda *_: CommandAnswer(answer.text))
    lines = CliRunner().invoke(command.sessions, [mark]).output.splitlines()
    assert lines[0].startswith(f"session {mark}  1.02340001 USD, 4 requests, 160 in, 20 out, 75% cached")
    assert [line.partition("  1")[0].partition("  0")[0] for line in lines[1:]] == [
        "├─ turn p1", "├─ turn p2", "└─ agent a1 (explore)", "   ├─ turn p1", "   └─ agent a2 (explore)",
        "      └─ turn p1",
    ]  # fmt: skip


@pytest.mark.services
async def test_sessions_are_listed_by_cost_or_last_call_in_pages_and_by_their_filters(admin_door: Door) -> None:
    mark, mine, _ = await a_session(admin_door)

    async def ask(**query: str) -> dict[str, Any]:
        answer = await admin_door.get("/spend/sessions", headers=bearer(mine), query=query)
        assert answer.status == 200, answer.text
        found: dict[str, Any] = answer.fields
        return found

    for order in ("cost", "last_activity"):
        first = await ask(sort_by=order, page_size="1")
        second = await ask(sort_by=order, page_size="1", cursor=first["next_cursor"])
        assert [page["data"][0]["session_id"] for page in (first, second)] == [mark, f"{mark}-small"]
        assert (await ask(sort_by=order, page_size="1", cursor=second["next_cursor"]))["data"] == []
    (row,) = (await ask(project="shop"))["data"]
    assert (row["cost"], row["agents"], row["requests"]) == (Decimal("1.02340001"), 2, 4)
    assert (row["projects"], row["request_classes"]) == (["shop"], ["main", "subagent"])
    (row,) = (await ask(model="opus", start_date="2025-05-06", end_date="2025-05-06"))["data"]
    assert row["cost"] == Decimal("1.000400005")
    assert (await ask(start_date="2025-05-07"))["data"] == []
    assert (await ask(team_id="nobody"))["data"] == []
    for query in ({"cursor": "x"}, {"sort_by": "name"}, {"page_size": "0"}, {"start_date": "today"}, {"who": "me"}):
        assert (await admin_door.get("/spend/sessions", query=query)).status == 422


def test_agents_whose_parents_are_unknown_or_go_round_hang_on_the_main_agent() -> None:
    def cell(agent: str | None, parent: str | None) -> SessionCell:
        return SessionCell(agent, None, "m", "main", parent, None, AT, AT, Amounts(requests=1, cost_nanousd=1))

    chain = [cell(f"c{number}", f"c{number - 1}") for number in range(1, 200)]
    main = grow_tree([cell("a", "b"), cell("b", "a"), cell("c", "gone"), cell("self", "self"), *chain])
    assert {"a", "b", "c", "self", "c1"} <= {agent.agent_id for agent in main.children}
    assert (main.whole.amounts.cost_nanousd, main.own.amounts.cost_nanousd) == (203, 0)
    assert sum(agent.whole.amounts.cost_nanousd for agent in main.children) == 203
