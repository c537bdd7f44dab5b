"""What a person has spent: by model, project and key, by session, and one session as the tree of its agents."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.own_spend import OwnSpend, own_spend
from app.admin.people import Person
from app.admin.sessions import Agent, Part, Sessions
from app.admin.spend import Spend
from app.api.finance.sessions import read_session_cursor, write_session_cursor
from app.api.ui.access import Pages
from app.api.ui.charts import Chart, Stack, stacked
from app.api.ui.lists import read_text
from app.api.ui.spend_view import SPANS, read_span
from app.domain.activity import NOTHING_DONE
from app.domain.report_spans import Span
from app.storage.postgres.reports import Amounts
from app.storage.postgres.sessions import Order, SessionFilter, SessionPage
from app.storage.postgres.tables.reports import MEASURES

AnyRequest = Request[Any, Any, Any]
_PAGE = "/ui/my-spend"
_SESSIONS = 15
_LONGEST_SESSION = 256
_MOST_AGENTS, _MOST_TURNS = 200, 100
_ORDERS: dict[str, Order] = {"": "last_at", "cost": "cost_nanousd"}


@dataclass(frozen=True, slots=True)
class AgentLine:
    """One agent of a session at its place in the tree; ``of_session`` is its share of the cost, in thousandths."""

    depth: int
    agent: Agent
    of_session: int
    turns: Sequence[tuple[str, Part]]
    further_turns: int


class MySpendPages(Controller):
    """On the services of ``/spend/report`` and ``/spend/sessions``, with the same action."""

    include_in_schema = False

    @get(_PAGE)
    async def page(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        spend: NamedDependency[Spend],
        sessions: NamedDependency[Sessions],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "spend.reports")
        tenant, span = person.reach("spend.reports"), read_span(request, "UTC")
        found = await own_spend(spend, person.user_id, span, tenant)
        order = read_text(request, "sessions") if read_text(request, "sessions") in _ORDERS else ""
        values = {"found": found, "chart": _chart(span, found), "span": span, "spans": SPANS, "order": order}
        values |= await _sessions_of(request, sessions, person, span, order)
        values |= {"cached_of": cached_of, "address": _address(request)}
        return pages.show(request, "my_spend.html", person, **values)  # type: ignore[arg-type]  # none is the status

    @get(f"{_PAGE}/session")
    async def session(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        sessions: NamedDependency[Sessions],
    ) -> Response[bytes]:
        """Of anybody whose spend this person reaches. A session's id is whatever a client calls it, slashes and all."""
        person = await pages.require_page(request, "spend.reports")
        name = str(request.query_params.get("id", "")).replace("\0", "")[:_LONGEST_SESSION]
        main, done = await sessions.tree(person.reach("spend.reports"), name)
        lines = list(islice(_lines(main, 0, main.whole.amounts.cost_nanousd), _MOST_AGENTS))
        values = {"session_id": name, "whole": main.whole, "lines": lines, "agents": _count(main) - 1, "done": done}
        values |= {"cached_of": cached_of}
        return pages.show(request, "session.html", person, **values)  # type: ignore[arg-type]  # none is the status


def cached_of(amounts: Amounts) -> str:
    """The share of the input that came out of the cache of a prompt."""
    if not amounts.prompt_tokens:
        return "–"
    return f"{(amounts.cache_read_tokens * 100 + amounts.prompt_tokens // 2) // amounts.prompt_tokens} %"


async def _sessions_of(
    request: AnyRequest, sessions: Sessions, person: Person, span: Span, order: str
) -> dict[str, Any]:
    cursor = read_text(request, "cursor")
    after = read_session_cursor({"cursor": cursor} if cursor else {}, _ORDERS[order])
    wanted = SessionFilter(
        since=datetime.combine(span.first, time(), UTC),
        until=datetime.combine(span.last + timedelta(days=1), time(), UTC),
        user_id=person.user_id,
    )
    page = SessionPage(_ORDERS[order], _SESSIONS + 1, after)
    found, done = await sessions.page(person.reach("spend.reports"), wanted, page)
    rows = [
        (row, Amounts(*(getattr(row, name) for name in MEASURES)), done.get(row.session_id, NOTHING_DONE))
        for row in found[:_SESSIONS]
    ]
    follows = write_session_cursor(found[_SESSIONS - 1], _ORDERS[order]) if len(found) > _SESSIONS else None
    return {
        "sessions": rows,
        "follows": follows,
        "is_first": not cursor,
        "tells_work": any(any(one[2]) for one in rows),
    }


def _address(request: AnyRequest) -> Any:  # noqa: ANN401  a function for the template
    kept = {name: value for name in ("span", "from", "to", "sessions") if (value := read_text(request, name))}

    def address(**changes: str) -> str:
        merged = {name: value for name, value in (kept | changes).items() if value}
        return f"{_PAGE}?{urlencode(merged)}" if merged else _PAGE

    return address


def _chart(span: Span, found: OwnSpend) -> Chart:
    stacks = [
        Stack(series.name or "Others", series.costs_nanousd, is_others=series.id is None) for series in found.series
    ]
    return stacked(found.labels, span.interval, stacks)


def _lines(agent: Agent, depth: int, whole_nanousd: int) -> Iterator[AgentLine]:
    """From the top down, the dearest of each level first."""
    share = agent.whole.amounts.cost_nanousd * 1_000 // whole_nanousd if whole_nanousd > 0 else 0
    turns = list(agent.turns.items())
    yield AgentLine(depth, agent, share, turns[:_MOST_TURNS], max(0, len(turns) - _MOST_TURNS))
    for child in sorted(agent.children, key=lambda one: -one.whole.amounts.cost_nanousd):
        yield from _lines(child, depth + 1, whole_nanousd)


def _count(agent: Agent) -> int:
    return 1 + sum(map(_count, agent.children))
