"""Use cases of the settings that Claude Code is given: set for everybody, an organization or a team."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.base.clock import now
from app.base.errors import NotFound
from app.domain.managed_settings import merge, with_plain_numbers
from app.domain.roles import EVERYTHING
from app.domain.tenancy import PLATFORM, scope_of
from app.storage.postgres import managed_settings as rows
from app.storage.postgres.engine import reading, transaction
from app.storage.postgres.managed_settings import StoredSettings
from app.storage.postgres.organizations import find_organization
from app.storage.postgres.teams import find_team


@dataclass(frozen=True, slots=True)
class SettingsLevel:
    """A team with its organization, an organization, or everybody."""

    organization_id: str | None = None
    team_id: str | None = None

    @property
    def scopes(self) -> list[str]:
        """The widest first; the last is the level's own."""
        scopes = [PLATFORM]
        if self.organization_id is not None:
            scopes.append(scope_of("organization", self.organization_id))
        if self.team_id is not None:
            scopes.append(scope_of("team", self.team_id))
        return scopes


@dataclass(frozen=True, slots=True)
class SettingsView:
    """``own`` is what the level itself sets, ``effective`` with what stands above it; None where nothing is set."""

    level: SettingsLevel
    own: StoredSettings | None
    effective: dict[str, Any] | None


class ManagedSettings:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find_effective(self, organization_id: str | None, team_id: str | None) -> dict[str, Any] | None:
        """What a key there is given; None where no level sets anything. Raises StorageUnavailable."""
        async with reading(self._engine) as connection:
            return (await _view(connection, SettingsLevel(organization_id, team_id))).effective

    async def find(self, organization_id: str | None, team_id: str | None) -> SettingsView:
        """Raises NotFound for an owner that does not exist."""
        async with reading(self._engine) as connection:
            return await _view(connection, await _level(connection, organization_id, team_id))

    async def list_all(self) -> list[StoredSettings]:
        async with reading(self._engine) as connection:
            return await rows.list_settings(connection)

    async def write(
        self, organization_id: str | None, team_id: str | None, settings: Mapping[str, Any] | None, actor: Actor
    ) -> SettingsView:
        """Set what one level says, all of it; None says nothing any more. Raises NotFound."""
        async with transaction(self._engine) as connection:
            level = await _level(connection, organization_id, team_id)
            scope = level.scopes[-1]
            before = (await rows.find_settings(connection, [scope], lock=True)).get(scope)
            if settings is None:
                await rows.delete_settings(connection, scope)
            else:
                plain = with_plain_numbers(settings)
                # Of a team the organization is asked anew: it may move.
                owner = None if team_id is not None else organization_id
                await rows.write_settings(connection, StoredSettings(scope, owner, team_id, plain, now(), actor.name))
            view = await _view(connection, level)
            change = Change(
                "managed_settings.update", "managed_settings", scope, _snapshot(before), _snapshot(view.own)
            )
            await record_change(connection, actor, change)
        return view


async def _level(connection: AsyncConnection, organization_id: str | None, team_id: str | None) -> SettingsLevel:
    if team_id is not None:
        team = await find_team(connection, EVERYTHING, team_id)
        if team is None:
            raise NotFound(f'no such team: "{team_id}"; see GET /team/list', param="team_id")
        return SettingsLevel(team.organization_id, team_id)
    if organization_id is not None and await find_organization(connection, organization_id) is None:
        raise NotFound(
            f'no such organization: "{organization_id}"; see GET /organization/list', param="organization_id"
        )
    return SettingsLevel(organization_id)


async def _view(connection: AsyncConnection, level: SettingsLevel) -> SettingsView:
    found = await rows.find_settings(connection, level.scopes)
    said = [found[scope].settings for scope in level.scopes if scope in found]
    return SettingsView(level, found.get(level.scopes[-1]), merge(said) if said else None)


def _snapshot(stored: StoredSettings | None) -> dict[str, Any] | None:
    return None if stored is None else {"settings": stored.settings}
