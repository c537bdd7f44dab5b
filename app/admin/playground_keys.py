"""The key with which a person calls from the playground: one in each team, whose secret nobody has."""

from collections.abc import Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor
from app.admin.key_terms import KeyTerms
from app.admin.keys import Keys
from app.admin.sign_in_people import Choices, Person, hold_person, list_choices
from app.base.errors import Forbidden, NotFound
from app.base.ids import new_id
from app.domain.access import Principal, lists, visible_models
from app.domain.catalog import Catalog, Model
from app.storage.postgres.engine import reading, transaction
from app.storage.postgres.keys import find_key_for_routes
from app.storage.postgres.organizations import find_organization
from app.storage.postgres.users import find_user
from app.storage.principals import Principals

PLAYGROUND_ROUTE = "/ui/playground"
"""All that such a key opens: a secret of it, should somebody make one, is of no use elsewhere."""
_LONGEST_NAME = 80


class PlaygroundKeys:
    """Raises Forbidden for who may not call with keys of their own, or not in this team, each time anew."""

    def __init__(self, engine: AsyncEngine, principals: Principals, keys: Keys, catalog: Callable[[], Catalog]) -> None:
        self._engine = engine
        self._principals = principals
        self._keys = keys
        self._catalog = catalog

    async def choices(self, user_id: str) -> Choices:
        async with reading(self._engine) as connection:
            return await list_choices(connection, user_id)

    async def models(self, user_id: str, team_id: str | None) -> Sequence[Model]:
        """Those that write text and that calls may use: of the key, or, before there is one, of what is above it."""
        async with transaction(self._engine) as connection:
            person = await _hold(connection, user_id, team_id)
            key_id = await find_key_for_routes(connection, user_id, team_id, [PLAYGROUND_ROUTE])
            above = await _lists_above(connection, person)
        principal = None if key_id is None else await self._principals.find_key(key_id)
        catalog = self._catalog()
        if principal is not None:
            found = visible_models(principal, catalog)
        else:
            found = [
                model
                for model in catalog.models
                if model.listed
                and all(lists(tuple(allowed), model) for allowed in above)
                and any(one.owner_user_id in (None, user_id) for one in model.deployments)
            ]
        return [model for model in found if model.generates_text and "*" not in model.name]

    async def principal(self, user_id: str, team_id: str | None, actor: Actor) -> Principal:
        """Who calls; the key is made where there is none yet."""
        async with transaction(self._engine) as connection:
            await _hold(connection, user_id, team_id)
            key_id = await find_key_for_routes(connection, user_id, team_id, [PLAYGROUND_ROUTE])
        if key_id is None:
            key_id = await self._make(user_id, team_id, actor)
        principal = await self._principals.find_key(key_id)
        if principal is None:
            raise NotFound("the key of the playground was deleted just now; send it again")
        return principal

    async def _make(self, user_id: str, team_id: str | None, actor: Actor) -> str:
        async with transaction(self._engine) as connection:
            await find_user(connection, user_id, lock=True)  # of two first calls at once, one makes the key
            person = await _hold(connection, user_id, team_id)
            key_id = await find_key_for_routes(connection, user_id, team_id, [PLAYGROUND_ROUTE])
            if key_id is not None:
                return key_id
            name = (person.user.user_alias or person.user.user_email or user_id).partition("@")[0][:_LONGEST_NAME]
            terms = KeyTerms(
                key_alias=f"playground {name} {new_id('n')[-6:].lower()}",
                allowed_routes=(PLAYGROUND_ROUTE,),
                user_id=user_id,
                team_id=team_id,
            )
            issued = await self._keys.issue(connection, terms, actor)  # its secret is forgotten here
        await self._principals.announce(issued.view.key.key_id)
        return issued.view.key.key_id


async def _hold(connection: AsyncConnection, user_id: str, team_id: str | None) -> Person:
    person = await hold_person(connection, user_id, team_id)
    if isinstance(person, str):
        raise Forbidden(person)
    return person


async def _lists_above(connection: AsyncConnection, person: Person) -> list[list[str]]:
    team, user = person.team, person.user
    organization_id = user.organization_id if team is None else team.organization_id
    organization = None if organization_id is None else await find_organization(connection, organization_id)
    return [
        user.models,
        [] if team is None else team.models,
        [] if organization is None else organization.models,
    ]
