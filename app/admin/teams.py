"""Use cases of teams: create, read, block."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.key_reading import KeyView, views
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.base.ids import new_id
from app.base.money import NanoUSD
from app.storage.postgres import keys as key_rows
from app.storage.postgres import teams as rows
from app.storage.postgres.engine import transaction
from app.storage.postgres.keys import KeyFilter, Page
from app.storage.postgres.receipts import spend_of_team
from app.storage.postgres.teams import StoredTeam
from app.storage.principals import Principals

MOST_KEYS_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class TeamTerms:
    """``team_id`` None has one made."""

    team_id: str | None = None
    team_alias: str | None = None
    organization_id: str | None = None
    models: tuple[str, ...] = ()
    blocked: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Teams:
    """``principals`` is told after each commit, for the sake of the team's keys."""

    def __init__(self, engine: AsyncEngine, principals: Principals) -> None:
        self._engine = engine
        self._principals = principals

    async def create(self, terms: TeamTerms, actor: Actor) -> StoredTeam:
        """Raises Unprocessable: a taken ``team_id``, an unknown organization."""
        team_id = terms.team_id or new_id("team")
        values = {
            "team_id": team_id,
            "team_alias": terms.team_alias,
            "organization_id": terms.organization_id,
            "models": list(terms.models),
            "blocked": terms.blocked,
            "metadata": terms.metadata,
            "created_by": actor.name,
            "updated_by": actor.name,
        }
        async with transaction(self._engine) as connection:
            organization = terms.organization_id
            if organization is not None and not await rows.organization_exists(connection, organization):
                raise Unprocessable(
                    f'"organization_id" is not the id of an organization: "{organization}"', param="organization_id"
                )
            try:
                await rows.insert_team(connection, values)
            except IntegrityError as error:
                raise Unprocessable(
                    f'"team_id" is taken: "{team_id}"; choose another, or leave it out', param="team_id"
                ) from error
            team = await rows.find_team(connection, team_id)
            assert team is not None
            await record_change(connection, actor, Change("team.new", "team", team_id, None, _snapshot(team)))
        return team

    async def block(self, team_id: str, actor: Actor, *, blocked: bool) -> StoredTeam:
        """All keys of a blocked team are refused. Raises NotFound."""
        async with transaction(self._engine) as connection:
            before = await rows.find_team(connection, team_id, lock=True)
            if before is None:
                raise _unknown(team_id)
            values = {"blocked": blocked, "updated_at": now(), "updated_by": actor.name}
            await rows.update_team(connection, team_id, values)
            team = await rows.find_team(connection, team_id)
            assert team is not None
            action = "team.block" if blocked else "team.unblock"
            await record_change(connection, actor, Change(action, "team", team_id, _snapshot(before), _snapshot(team)))
        await self._principals.announce(f"team:{team_id}")
        return team

    async def get(self, team_id: str) -> tuple[StoredTeam, NanoUSD, list[KeyView]]:
        """The team, what it spent since ever, and its keys, newest first. Raises NotFound."""
        at = now()
        async with transaction(self._engine) as connection:
            team = await rows.find_team(connection, team_id)
            if team is None:
                raise _unknown(team_id)
            page = Page(1, MOST_KEYS_SHOWN, "created_at", descending=True)
            found, _ = await key_rows.list_keys(connection, KeyFilter(team_id=team_id), page, at)
            return team, await spend_of_team(connection, team_id), await views(connection, found, at)

    async def list(self, organization_id: str | None = None) -> list[StoredTeam]:
        """Newest first."""
        async with transaction(self._engine) as connection:
            return await rows.list_teams(connection, organization_id)


def _unknown(team_id: str) -> NotFound:
    return NotFound(f'no such team: "{team_id}"; see GET /team/list', param="team_id")


def _snapshot(team: StoredTeam) -> dict[str, Any]:
    return {name: getattr(team, name) for name in StoredTeam.__slots__}
