"""Use cases that change virtual keys: each is one transaction with its audit line, then an announcement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec import UNSET
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.budget_terms import BudgetWords, Life, check_below_parent, write_budget
from app.admin.group_names import with_groups
from app.admin.key_projects import place_in_project
from app.admin.key_reading import KeyView, find_referenced, shown, views
from app.admin.key_rights import check_change, check_secret, terms_of_new
from app.admin.key_terms import KeyTerms, check_supplied_key, columns_of
from app.admin.narrowing import CurrentCatalog, check_narrower, check_step_down
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.base.ids import KeyId, new_id
from app.domain.budgets import Duration, after
from app.domain.keys import digest_key, mint_key
from app.domain.roles import EVERYTHING
from app.storage.postgres import keys as rows
from app.storage.postgres.budgets import delete_own_budgets, find_budget
from app.storage.postgres.engine import transaction
from app.storage.postgres.keys import StoredKey
from app.storage.postgres.projects import StoredProject
from app.storage.postgres.teams import StoredTeam, find_team, hold_team
from app.storage.postgres.users import ensure_user, find_user
from app.storage.principals import Principals


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key that was just made, with its secret, which is known at this moment only."""

    secret: str
    view: KeyView


class Keys:
    """Everything that changes a key. ``principals`` is told after each commit."""

    def __init__(
        self, engine: AsyncEngine, principals: Principals, pepper: bytes, catalog: CurrentCatalog | None = None
    ) -> None:
        """``catalog`` tells which models an allow-list's groups stand for."""
        self._catalog = catalog
        self._engine = engine
        self._principals = principals
        self._pepper = pepper

    async def generate(self, terms: KeyTerms, actor: Actor, supplied: str | None = None) -> IssuedKey:
        """Raises Unprocessable: a bad or taken ``supplied`` key, a taken alias, an unknown team."""
        async with transaction(self._engine) as connection:
            issued = await self.issue(connection, terms, actor, supplied)
        await self._principals.announce(issued.view.key.key_id)
        return issued

    async def issue(
        self, connection: AsyncConnection, terms: KeyTerms, actor: Actor, supplied: str | None = None
    ) -> IssuedKey:
        """``generate`` in the transaction of the caller, who announces the key."""
        at = now()
        terms, project = await place_in_project(connection, terms, None, actor)
        terms = terms_of_new(terms, actor)
        terms = replace(terms, models=await with_groups(connection, terms.models, terms.group_ids))
        secret, digest = self._secret(supplied, "key")
        columns = columns_of(terms, at)
        key_id = KeyId(new_id("key"))
        await self._check_digest(connection, digest, supplied, "key")
        team = await self._check_owners(connection, terms, columns, None)
        _check_organization(terms, columns.get("organization_id"))
        columns |= {"key_id": key_id, "digest": digest, "last_four": secret[-4:], "created_at": at}
        columns |= {"updated_at": at, "created_by": actor.name, "updated_by": actor.name}
        life = Life(at, is_new=True)
        columns["budget_id"] = (await write_budget(connection, terms.budget, None, actor, life=life)).budget_id
        await self._check_narrower(connection, terms, columns, (team, project))
        self._check_step_down(columns, ())
        await _write(rows.insert_key(connection, columns), columns)
        view = await self._record(connection, actor, "key.generate", None, key_id)
        return IssuedKey(secret, view)

    async def update(self, reference: str, terms: KeyTerms, actor: Actor) -> KeyView:
        """Raises NotFound, and Unprocessable as ``generate``."""
        return await self._change(reference, terms, actor, "key.update")

    async def change(
        self, connection: AsyncConnection, reference: str, terms: KeyTerms, actor: Actor, action: str = "key.update"
    ) -> KeyView:
        """``update`` in the transaction of the caller, who announces the key."""
        before = await self._get(connection, actor, reference)
        return await self._apply(connection, before, terms, actor, action, {})

    async def regenerate(
        self, reference: str, terms: KeyTerms, actor: Actor, *, supplied: str | None, grace: Duration | None
    ) -> IssuedKey:
        """A new secret for the same key; the old one works for ``grace`` more, or stops now with all before it.

        Raises NotFound, and Unprocessable as ``generate``.
        """
        async with transaction(self._engine) as connection:
            issued = await self.reissue(connection, reference, terms, actor, supplied=supplied, grace=grace)
        await self._principals.announce(issued.view.key.key_id)
        return issued

    async def reissue(
        self,
        connection: AsyncConnection,
        reference: str,
        terms: KeyTerms,
        actor: Actor,
        *,
        supplied: str | None = None,
        grace: Duration | None,
    ) -> IssuedKey:
        """``regenerate`` in the transaction of the caller, who announces the key."""
        at = now()
        secret, digest = self._secret(supplied, "new_key")
        before = await self._get(connection, actor, reference)
        check_secret(before, actor)
        await self._check_digest(connection, digest, supplied, "new_key")
        if grace is None:
            await rows.end_retired_digests(connection, before.key_id, at)
        await rows.retire_digest(connection, before.key_id, at if grace is None else after(grace, at))
        renewal = {
            "digest": digest,
            "last_four": secret[-4:],
            "rotation_count": before.rotation_count + 1,
            "last_rotation_at": at,
        }
        view = await self._apply(connection, before, terms, actor, "key.regenerate", renewal)
        return IssuedKey(secret, view)

    async def block(self, reference: str, actor: Actor, *, blocked: bool) -> KeyView:
        """Raises NotFound."""
        action = "key.block" if blocked else "key.unblock"
        return await self._change(reference, KeyTerms(blocked=blocked), actor, action)

    async def reset_spend(self, reference: str, actor: Actor) -> tuple[KeyView, KeyView]:
        """Let the key's budget count from now on; its receipts stay. The key before and after.

        Raises NotFound, and Unprocessable for a key without a budget of its own.
        """
        at = now()
        async with transaction(self._engine) as connection:
            before = await self._get(connection, actor, reference)
            budget = None if before.budget_id is None else await find_budget(connection, before.budget_id, lock=True)
            if budget is None or budget.shared:
                raise Unprocessable(
                    "this key has no budget of its own, so there is no counting to begin anew: "
                    "its spend is the sum of its receipts",
                    param="key",
                )
            [earlier] = await views(connection, [before], at)
            values = {"reset_at": at, "counting_since": at, "updated_at": at}
            await rows.update_budget(connection, budget.budget_id, values)
            view = await self._record(connection, actor, "key.reset_spend", before, before.key_id)
        await self._principals.announce(before.key_id)
        return earlier, view

    async def delete(self, references: Sequence[str], aliases: Sequence[str], actor: Actor) -> list[str]:
        """Delete those that exist, and return them as they were named; receipts and the archived row stay.

        Raises NotFound when there is none.
        """
        deleted: dict[KeyId, str] = {}
        async with transaction(self._engine) as connection:
            for name in references:
                await self._delete_one(connection, await self._find(connection, actor, name), name, deleted, actor)
            for alias in aliases:
                found = await rows.find_key_by_alias(connection, actor.tenant, alias, lock=True)
                await self._delete_one(connection, found, alias, deleted, actor)
            if not deleted:
                raise NotFound("no such key: none of those named exists; see GET /key/list", param="keys")
        for key_id in deleted:
            await self._principals.announce(key_id)
        return list(deleted.values())

    async def remove(self, connection: AsyncConnection, reference: str, actor: Actor) -> None:
        """``delete`` of one key in the transaction of the caller, who announces it; nothing where it is gone."""
        await self._delete_one(connection, await self._find(connection, actor, reference), reference, {}, actor)

    async def _delete_one(
        self, connection: AsyncConnection, key: StoredKey | None, name: str, deleted: dict[KeyId, str], actor: Actor
    ) -> None:
        if key is None or key.key_id in deleted:
            return
        await rows.update_key(connection, key.key_id, {"deleted_at": now(), "deleted_by": actor.name})
        change = Change("key.delete", "key", key.key_id, _snapshot(key), None)
        await record_change(connection, actor, change)
        deleted[key.key_id] = name

    async def _change(self, reference: str, terms: KeyTerms, actor: Actor, action: str) -> KeyView:
        async with transaction(self._engine) as connection:
            view = await self.change(connection, reference, terms, actor, action)
        await self._principals.announce(view.key.key_id)
        return view

    async def _apply(
        self,
        connection: AsyncConnection,
        before: StoredKey,
        terms: KeyTerms,
        actor: Actor,
        action: str,
        renewal: Mapping[str, Any],
    ) -> KeyView:
        at = now()
        terms, project = await place_in_project(connection, terms, before, actor)
        check_change(before, terms, actor)
        terms = replace(terms, models=await with_groups(connection, terms.models, terms.group_ids, before.models))
        columns = columns_of(terms, at) | dict(renewal)
        team = await self._check_owners(connection, terms, columns, before)
        _check_organization(terms, columns.get("organization_id", before.organization_id))
        present = None if before.budget_id is None else await find_budget(connection, before.budget_id)
        written = await write_budget(connection, terms.budget, present, actor, life=Life(before.created_at))
        columns["budget_id"] = written.budget_id
        columns |= {"updated_at": at, "updated_by": actor.name}
        await self._check_narrower(connection, terms, columns, (team, project))
        self._check_step_down(columns, before.models)
        await _write(rows.update_key(connection, before.key_id, columns), columns)
        await delete_own_budgets(connection, [written.spare_id])
        return await self._record(connection, actor, action, before, before.key_id)

    async def _record(
        self, connection: AsyncConnection, actor: Actor, action: str, before: StoredKey | None, key_id: KeyId
    ) -> KeyView:
        stored = await rows.find_key(connection, EVERYTHING, key_id)
        assert stored is not None
        earlier = None if before is None else _snapshot(before)
        await record_change(connection, actor, Change(action, "key", key_id, earlier, _snapshot(stored)))
        return (await views(connection, [stored], now()))[0]

    async def _find(self, connection: AsyncConnection, actor: Actor, reference: str) -> StoredKey | None:
        found = await find_referenced(connection, actor.tenant, self._pepper, reference, lock=True)
        return None if found is None or found.deleted_at is not None else found

    async def _get(self, connection: AsyncConnection, actor: Actor, reference: str) -> StoredKey:
        found = await self._find(connection, actor, reference)
        if found is None:
            raise NotFound(f'no such key: "{shown(reference)}"; see GET /key/list', param="key")
        return found

    def _secret(self, supplied: str | None, param: str) -> tuple[str, bytes]:
        if supplied is not None:
            check_supplied_key(supplied, param)
        secret = mint_key() if supplied is None else supplied
        return secret, digest_key(self._pepper, secret)

    async def _check_digest(self, connection: AsyncConnection, digest: bytes, supplied: str | None, param: str) -> None:
        if supplied is not None and await rows.digest_is_taken(connection, digest):
            raise Unprocessable(f'"{param}" is a key that exists, or did; choose another', param=param)

    async def _check_owners(
        self, connection: AsyncConnection, terms: KeyTerms, columns: dict[str, Any], before: StoredKey | None
    ) -> StoredTeam | None:
        """A key of a team belongs to the team's organization, any other to that of its user. Returns the team."""
        team: StoredTeam | None = None
        user = await ensure_user(connection, terms.user_id) if isinstance(terms.user_id, str) else None
        if isinstance(terms.team_id, str):
            team = await hold_team(connection, terms.team_id)
            if team is None:
                raise Unprocessable(
                    f'"team_id" is not the id of a team: "{terms.team_id}"; make the team first with POST /team/new',
                    param="team_id",
                )
            columns["organization_id"] = team.organization_id
        elif terms.team_id is None or before is None or before.team_id is None:
            owner = before.user_id if before is not None and terms.user_id is UNSET else None
            of = user if owner is None else await find_user(connection, owner)
            columns["organization_id"] = None if of is None else of.organization_id
        if isinstance(terms.team_id, str):
            return team
        kept = None if before is None or terms.team_id is None else before.team_id
        return None if kept is None else await find_team(connection, EVERYTHING, kept)

    async def _check_narrower(
        self,
        connection: AsyncConnection,
        terms: KeyTerms,
        columns: Mapping[str, Any],
        levels: tuple[StoredTeam | None, StoredProject | None],
    ) -> None:
        """What is written of a key in a team or project is held against theirs. Raises Unprocessable."""
        team, project = levels
        if team is not None:
            await self._check_below(connection, terms, columns, team, f'the team "{team.team_alias or team.team_id}"')
        if project is not None:
            of = f'the project "{project.project_alias or project.project_id}"'
            await self._check_below(connection, terms, columns, project, of)

    def _check_step_down(self, columns: Mapping[str, Any], models: Sequence[str]) -> None:
        catalog = None if self._catalog is None else self._catalog()
        check_step_down(columns, columns.get("models", models), catalog)

    async def _check_below(
        self,
        connection: AsyncConnection,
        terms: KeyTerms,
        columns: Mapping[str, Any],
        above: StoredTeam | StoredProject,
        of: str,
    ) -> None:
        check_narrower(columns, above, of, None if self._catalog is None else self._catalog())
        if terms.budget.is_set and columns["budget_id"] is not None and above.budget_id is not None:
            own = await find_budget(connection, columns["budget_id"])
            check_below_parent(own, await find_budget(connection, above.budget_id), BudgetWords(), of)


async def _write(statement: Any, columns: dict[str, Any]) -> None:  # noqa: ANN401  a coroutine of either kind
    try:
        await statement
    except IntegrityError as error:
        constraint = str(error.orig)
        if "uq_keys_key_alias" in constraint:
            raise Unprocessable(
                f'"key_alias" is taken: "{columns["key_alias"]}" names another key; choose another, or delete that key',
                param="key_alias",
            ) from error
        if "uq_keys_digest" in constraint:
            raise Unprocessable("this key exists already; choose another", param="key") from error
        raise


def _check_organization(terms: KeyTerms, belongs_to: str | None) -> None:
    """Raises Unprocessable: a key is of the organization of its team or user, whatever is said."""
    if terms.organization_id in (UNSET, belongs_to):
        return
    of = "none" if belongs_to is None else f'"{belongs_to}"'
    raise Unprocessable(
        f'"organization_id" is "{terms.organization_id}", and the organization of the key\'s team, or without a team '
        f'of its user, is {of}; leave it out, or give a "team_id" of that organization',
        param="organization_id",
    )


def _snapshot(key: StoredKey) -> dict[str, Any]:
    return {name: getattr(key, name) for name in StoredKey.__slots__}
