"""Which person a program may be signed in as, and in which team: asked when it is approved, and at each renewal."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.errors import Forbidden, NotFound, Unprocessable
from app.domain.roles import EVERYTHING, tenant_of
from app.storage.postgres.memberships import find_membership, teams_of_users
from app.storage.postgres.organizations import find_organization
from app.storage.postgres.teams import StoredTeam, find_team
from app.storage.postgres.tenants import find_standing
from app.storage.postgres.users import StoredUser, hold_user


@dataclass(frozen=True, slots=True)
class Person:
    """``team`` None is a key of no team."""

    user: StoredUser
    team: StoredTeam | None


async def choose_team(
    connection: AsyncConnection, user_id: str, team_id: str | None, *, has_chosen: bool
) -> str | None:
    """The team that the key will belong to: that which was chosen, or the only one of the person.

    Raises NotFound for who or what does not exist, Unprocessable where there are several teams and none was chosen,
    Forbidden for who may not be signed in.
    """
    if await hold_user(connection, user_id) is None:
        raise NotFound(f'no such user: "{user_id}"; see GET /user/list', param="user_id")
    if not has_chosen:
        of = [membership.team_id for membership in await teams_of_users(connection, [user_id])]
        if len(of) > 1:
            raise Unprocessable(
                f'"team_id" is missing: "{user_id}" is a member of {", ".join(of[:20])}; name one of them, '
                "or give null for a key of no team",
                param="team_id",
            )
        team_id = of[0] if of else None
    elif team_id is not None and await find_membership(connection, team_id, user_id) is None:
        raise NotFound(f'no such team: "{team_id}"; "{user_id}" is no member of it', param="team_id")
    person = await hold_person(connection, user_id, team_id)
    if isinstance(person, str):
        raise Forbidden(person)
    return team_id


async def hold_person(connection: AsyncConnection, user_id: str, team_id: str | None) -> Person | str:
    """The person, who cannot be deleted until the transaction ends; or a sentence that says why not."""
    user = await hold_user(connection, user_id)
    if user is None:
        return "this person is not known here any more"
    if user.blocked:
        return f'the user "{user_id}" is blocked; ask an admin'
    team = None if team_id is None else await find_team(connection, EVERYTHING, team_id)
    if team_id is not None:
        if team is None or await find_membership(connection, team_id, user_id) is None:
            return f'"{user_id}" is no member of the team "{team_id}" any more'
        if team.blocked:
            return f'the team "{team.team_alias or team_id}" is blocked; ask an admin'
    elif not await _may_have_own_keys(connection, user_id):
        return f'the role of "{user_id}" gives it no keys of its own; an admin can make it a member of a team'
    organization_id = user.organization_id if team is None else team.organization_id
    organization = None if organization_id is None else await find_organization(connection, organization_id)
    if organization is not None and organization.blocked:
        return f'the organization "{organization.organization_alias or organization_id}" is blocked; ask an admin'
    return Person(user, team)


async def _may_have_own_keys(connection: AsyncConnection, user_id: str) -> bool:
    """As POST /key/generate would answer."""
    tenant = tenant_of(await find_standing(connection, "", user_id), "key.change")
    return tenant is not None and (tenant.everything or tenant.user_id == user_id)


@dataclass(frozen=True, slots=True)
class Choices:
    """What somebody may sign a program in with: ids and names of teams, and a key of no team."""

    teams: tuple[tuple[str, str], ...]
    own: bool


async def list_choices(connection: AsyncConnection, user_id: str) -> Choices:
    """In the order in which the person came into the teams; blocked ones are left out."""
    teams = []
    for membership in await teams_of_users(connection, [user_id]):
        team = await find_team(connection, EVERYTHING, membership.team_id)
        if team is not None and not team.blocked:
            teams.append((str(team.team_id), team.team_alias or team.team_id))
    return Choices(tuple(teams), await _may_have_own_keys(connection, user_id))
