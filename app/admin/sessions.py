"""Coding sessions: a page of them, and one as the tree of its agents with their turns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.errors import NotFound, Unprocessable
from app.domain.activity import NOTHING_DONE, Activity
from app.domain.roles import Tenant
from app.storage.postgres import sessions as rows
from app.storage.postgres.activity import ActivityFilter, Owner, activity_of_sessions
from app.storage.postgres.engine import transaction
from app.storage.postgres.reports import Amounts
from app.storage.postgres.sessions import SessionCell, SessionFilter, SessionPage

MOST_CELLS = 20_000
_DEEPEST = 50


@dataclass(slots=True)
class Part:
    """What some calls of a session add up to; ``last_at`` is when the last of them ended."""

    amounts: Amounts = field(default_factory=Amounts)
    first_at: datetime | None = None
    last_at: datetime | None = None
    models: set[str] = field(default_factory=set)
    request_classes: set[str] = field(default_factory=set)

    def add(self, cell: SessionCell) -> None:
        self.amounts = self.amounts.plus(cell.amounts)
        self.first_at = cell.first_at if self.first_at is None else min(self.first_at, cell.first_at)
        self.last_at = cell.last_at if self.last_at is None else max(self.last_at, cell.last_at)
        self.models.add(cell.model)
        self.request_classes.add(cell.request_class)


@dataclass(slots=True)
class Agent:
    """``own`` are its calls alone, ``whole`` with those of the agents below it. ``agent_id`` None is the session's main
    agent. ``turns`` are by prompt id, the empty text for calls that name none."""

    agent_id: str | None
    agent_type: str | None = None
    parent_agent_id: str | None = None
    own: Part = field(default_factory=Part)
    whole: Part = field(default_factory=Part)
    turns: dict[str, Part] = field(default_factory=dict)
    children: list["Agent"] = field(default_factory=list)


class Sessions:
    """Reads only."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(
        self, tenant: Tenant, wanted: SessionFilter, page: SessionPage
    ) -> tuple[Sequence[Row[Any]], dict[str, Activity]]:
        """The sessions, and what was done in those of which it is known."""
        async with transaction(self._engine) as connection:
            found = await rows.list_sessions(connection, tenant, wanted, page)
            ids = [row.session_id for row in found]
            return found, await activity_of_sessions(connection, tenant, ids, _days_of(wanted))

    async def tree(
        self, tenant: Tenant, session_id: str, span: tuple[datetime | None, datetime | None] = (None, None)
    ) -> tuple[Agent, Activity]:
        """The main agent with all below it, and what was done in the session.

        Raises NotFound, Unprocessable for a session of too many parts.
        """
        async with transaction(self._engine) as connection:
            cells = await rows.list_cells(connection, tenant, session_id, MOST_CELLS + 1, span)
            days = _days_of(SessionFilter(*span))
            done = await activity_of_sessions(connection, tenant, [session_id], days)
        if not cells:
            raise NotFound(f'no such session: "{session_id[:200]}"; see GET /spend/sessions', param="session_id")
        if len(cells) > MOST_CELLS:
            raise Unprocessable(
                f'session "{session_id[:200]}" has more than {MOST_CELLS} turns and agents; give "start_date" and '
                '"end_date"',
                param="start_date",
            )
        return grow_tree(cells), done.get(session_id, NOTHING_DONE)


def grow_tree(cells: Sequence[SessionCell]) -> Agent:
    """Each cell stands at its agent once. An agent whose parent made no calls, or that is among its own descendants,
    hangs on the main agent."""
    main = Agent(None)
    agents: dict[str | None, Agent] = {None: main}
    for cell in cells:
        agent = agents.setdefault(cell.agent_id, Agent(cell.agent_id))
        agent.agent_type = agent.agent_type or cell.agent_type
        agent.parent_agent_id = agent.parent_agent_id or cell.parent_agent_id
        agent.own.add(cell)
        agent.turns.setdefault(cell.prompt_id or "", Part()).add(cell)
    paths = {agent_id: _path(agent, agents) for agent_id, agent in agents.items()}
    for agent_id, agent in agents.items():
        if agent is not main:
            paths[agent_id][-1].children.append(agent)
    for cell in cells:
        for holder in (agents[cell.agent_id], *paths[cell.agent_id]):
            holder.whole.add(cell)
    return main


def _days_of(wanted: SessionFilter) -> ActivityFilter:
    """Activity is known by days of UTC: those that the span of time begins and ends in."""
    last = None if wanted.until is None else (wanted.until - timedelta(microseconds=1)).astimezone(UTC).date()
    first = None if wanted.since is None else wanted.since.astimezone(UTC).date()
    owners: tuple[Owner, ...] = ("user_id", "team_id", "key_id")
    only = {owner: [value] for owner in owners if (value := getattr(wanted, owner)) is not None}
    return ActivityFilter(first, last, only)


def _path(agent: Agent, agents: dict[str | None, Agent]) -> list[Agent]:
    """The agents above it, the main agent first; only that where the parents lead round in a circle, or very far."""
    main = agents[None]
    path: list[Agent] = []
    seen = {agent.agent_id}
    above = agent
    while above is not main:
        above = agents.get(above.parent_agent_id, main)
        if above.agent_id in seen or len(path) == _DEEPEST:
            return [main]
        seen.add(above.agent_id)
        path.insert(0, above)
    return path
