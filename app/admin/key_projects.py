"""The project that a key belongs to: it is of the key's team, and the key may not do more than it."""

from dataclasses import replace

from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncConnection

from app.admin.actor import Actor
from app.admin.key_terms import KeyTerms
from app.base.errors import NotFound, Unprocessable
from app.domain.roles import EVERYTHING
from app.storage.postgres.keys import StoredKey
from app.storage.postgres.projects import StoredProject, find_project, hold_project


async def place_in_project(
    connection: AsyncConnection, terms: KeyTerms, before: StoredKey | None, actor: Actor
) -> tuple[KeyTerms, StoredProject | None]:
    """The terms, with the project's team where they name none, and the project that the key will belong to.

    Raises Unprocessable for an unknown project, one of another team, and for a key that would leave the team but not
    the project; NotFound for a project that the actor does not reach.
    """
    present = None if before is None else before.team_id
    if terms.project_id is UNSET:
        if before is None or before.project_id is None:
            return terms, None
        if terms.team_id is not UNSET and terms.team_id != present:
            raise Unprocessable(
                f'"team_id": the key belongs to the project "{before.project_id}" of the team "{present}"; '
                'send "project_id" too: null, or a project of the other team',
                param="team_id",
            )
        return terms, await find_project(connection, EVERYTHING, before.project_id)
    if terms.project_id is None:
        return terms, None
    project = await _find(connection, terms.project_id, actor)
    named = present if terms.team_id is UNSET else terms.team_id
    if named is None and terms.team_id is UNSET:
        return replace(terms, team_id=project.team_id), project
    if named != project.team_id:
        stands = "is of no team" if named is None else f'is of the team "{named}"'
        raise Unprocessable(
            f'"project_id" is "{project.project_id}", a project of the team "{project.team_id}", '
            f"but the key {stands}; name both alike",
            param="project_id",
        )
    return terms, project


async def _find(connection: AsyncConnection, project_id: str, actor: Actor) -> StoredProject:
    project = await hold_project(connection, project_id)
    if actor.tenant.everything:
        if project is None:
            raise Unprocessable(
                f'"project_id" is not the id of a project: "{project_id}"; make it first with POST /project/new',
                param="project_id",
            )
        return project
    reached = actor.tenant.team_ids | actor.standing.member_of_teams
    if project is None or project.team_id not in reached:
        raise NotFound(f'no such project: "{project_id}"', param="project_id")
    return project
