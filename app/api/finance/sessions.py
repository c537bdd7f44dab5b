"""Coding sessions: ``/spend/sessions`` in pages, and one of them as the tree of its agents with their turns."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from sqlalchemy import Row

from app.admin.key_reading import KeyReading
from app.admin.sessions import Agent, Part, Sessions
from app.api.admin.answers import answer, number
from app.api.admin.queries import Query, path_text, read_choice, read_number, read_query
from app.api.finance.activity_answers import render_activity
from app.api.finance.dates import read_days
from app.api.security import Access
from app.base.errors import Unprocessable
from app.domain.activity import NOTHING_DONE, Activity
from app.storage.postgres.reports import Amounts
from app.storage.postgres.sessions import Order, SessionFilter, SessionPage
from app.storage.postgres.tables.reports import MEASURES

AnyRequest = Request[Any, Any, Any]
_DAYS = ("start_date", "end_date", "timezone")
_FILTERS = {
    "user_id": "user_id", "team_id": "team_id", "project": "project", "model": "model_served",
}  # fmt: skip
_ORDERS: Mapping[str, Order] = {"cost": "cost_nanousd", "last_activity": "last_at"}
_MOST, _USUAL = 1_000, 50
_TOKENS = (
    "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens", "audio_input_tokens", "audio_output_tokens",
)  # fmt: skip
_SHARE_DIGITS = Decimal("0.0001")


class SessionRoutes(Controller):
    @get("/spend/sessions")
    async def page(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        sessions: NamedDependency[Sessions],
        key_reading: NamedDependency[KeyReading],
    ) -> Response[bytes]:
        """Amounts are of the days asked about; ``agents`` counts subagents."""
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, (*_FILTERS, "api_key", "sort_by", "page_size", "cursor", *_DAYS))
        days = read_days(query)
        key_id = await key_reading.find_id(query["api_key"], tenant) if "api_key" in query else None
        filters = {column: query[name] for name, column in _FILTERS.items() if name in query}
        order = _ORDERS[read_choice(query, "sort_by", _ORDERS) or "last_activity"]
        page = SessionPage(order, read_number(query, "page_size", _USUAL, _MOST), read_session_cursor(query, order))
        wanted = SessionFilter(since=days.since, until=days.until, key_id=key_id, **filters)
        found, done = await sessions.page(tenant, wanted, page)
        follows = len(found) == page.most
        return answer(
            {
                "data": [_session(row, done.get(row.session_id, NOTHING_DONE)) for row in found],
                "next_cursor": write_session_cursor(found[-1], order) if follows else None,
            }
        )

    @get("/spend/sessions/{session_id:str}")
    async def tree(
        self, request: AnyRequest, access: NamedDependency[Access], sessions: NamedDependency[Sessions]
    ) -> Response[bytes]:
        """``agent`` is the main agent; what stands beside it is of the whole session."""
        tenant = (await access.require_caller(request)).tenant
        days = read_days(read_query(request, _DAYS))
        session_id = path_text(request, "session_id")
        main, done = await sessions.tree(tenant, session_id, (days.since, days.until))
        whole = {**_part(main.whole), **render_activity(done)}
        return answer({"session_id": session_id, **whole, "agent": _agent(main)})


def _session(row: Row[Any], done: Activity) -> dict[str, Any]:
    return {
        "session_id": row.session_id,
        "first_at": row.first_at,
        "last_at": row.last_at,
        "agents": row.agents,
        "user_ids": row.user_id,
        "team_ids": row.team_id,
        "key_ids": row.key_id,
        "projects": row.project,
        "models": row.model_served,
        "request_classes": row.request_class,
        **_amounts(Amounts(*(getattr(row, name) for name in MEASURES))),
        **render_activity(done),
    }


def _agent(agent: Agent) -> dict[str, Any]:
    """``own`` is what its calls come to without those of the agents below it, ``cost`` is with them."""
    return {
        "agent_id": agent.agent_id,
        "agent_type": agent.agent_type,
        "parent_agent_id": agent.parent_agent_id,
        **_part(agent.whole),
        "own": _part(agent.own),
        "turns": [{"prompt_id": prompt_id or None, **_part(turn)} for prompt_id, turn in agent.turns.items()],
        "agents": [_agent(child) for child in agent.children],
    }


def _part(part: Part) -> dict[str, Any]:
    elapsed = None
    if part.first_at is not None and part.last_at is not None:
        elapsed = (part.last_at - part.first_at) // timedelta(milliseconds=1)
    return {
        "first_at": part.first_at,
        "last_at": part.last_at,
        "elapsed_ms": elapsed,
        "models": sorted(part.models),
        "request_classes": sorted(part.request_classes),
        **_amounts(part.amounts),
    }


def _amounts(amounts: Amounts) -> dict[str, Any]:
    """``duration_ms`` is of all calls together; ``cache_hit_share`` is of the prompt tokens, null where there are
    none."""
    share = None
    if amounts.prompt_tokens > 0:
        exact = Decimal(amounts.cache_read_tokens) / amounts.prompt_tokens
        share = msgspec.Raw(str(exact.quantize(_SHARE_DIGITS)).encode())
    return {
        "requests": amounts.requests,
        "failures": amounts.failures,
        "duration_ms": amounts.duration_ms,
        **{name: getattr(amounts, name) for name in _TOKENS},
        "cache_hit_share": share,
        "cost": number(amounts.cost_nanousd),
        "notional_cost": number(amounts.notional_nanousd),
    }


def read_session_cursor(query: Query, order: Order) -> tuple[int | datetime, str] | None:
    if "cursor" not in query:
        return None
    kind = tuple[int, str] if order == "cost_nanousd" else tuple[datetime, str]
    try:
        place: Any = msgspec.json.decode(base64.urlsafe_b64decode(query["cursor"]), type=kind)
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        raise Unprocessable('"cursor" is not the next_cursor of an answer with this sort_by', param="cursor") from error
    value, session_id = place
    is_time = isinstance(value, datetime)
    if "\0" in session_id or (value.tzinfo is None if is_time else not -(2**63) <= value < 2**63):
        raise Unprocessable('"cursor" is not the next_cursor of an answer', param="cursor")
    return value, session_id


def write_session_cursor(row: Row[Any], order: Order) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((getattr(row, order), row.session_id))).decode()
