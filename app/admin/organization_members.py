"""Use cases of the members of an organization: added, given another role, removed."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.memberships import Member, find_named_user, find_or_make_user
from app.admin.organizations import get_organization
from app.admin.standings import snapshot
from app.base.clock import now
from app.base.errors import Unprocessable
from app.storage.postgres import memberships as rows
from app.storage.postgres.engine import transaction
from app.storage.postgres.memberships import StoredOrganizationMembership
from app.storage.postgres.users import change_organization, find_user
from app.storage.principals import Principals


class OrganizationMembers:
    """``principals`` is told after each commit."""

    def __init__(self, engine: AsyncEngine, principals: Principals) -> None:
        self._engine = engine
        self._principals = principals

    async def add(
        self, organization_id: str, members: Sequence[Member], actor: Actor
    ) -> list[StoredOrganizationMembership]:
        """All of them, or none. A user who is named for the first time is made.

        Raises NotFound (the organization), Unprocessable: a member already.
        """
        async with transaction(self._engine) as connection:
            await get_organization(connection, organization_id, lock=True)
            added = [await add_organization_member(connection, organization_id, member, actor) for member in members]
        await self._announce([membership.user_id for membership in added])
        return added

    async def update(self, organization_id: str, member: Member, actor: Actor) -> StoredOrganizationMembership:
        """Raises NotFound (the organization), Unprocessable: no member."""
        async with transaction(self._engine) as connection:
            await get_organization(connection, organization_id, lock=True)
            before = await _find(connection, organization_id, member)
            after = await change_organization_member(connection, before, member.role or before.role, actor)
        await self._announce([before.user_id])
        return after

    async def delete(self, organization_id: str, member: Member, actor: Actor) -> StoredOrganizationMembership:
        """What the user has in teams of the organization stays. Raises NotFound (the organization), Unprocessable."""
        async with transaction(self._engine) as connection:
            await get_organization(connection, organization_id, lock=True)
            before = await _find(connection, organization_id, member)
            await remove_organization_member(connection, before, actor)
        await self._announce([before.user_id])
        return before

    async def _announce(self, user_ids: Sequence[str]) -> None:
        for user_id in user_ids:
            await self._principals.announce(f"user:{user_id}")


async def add_organization_member(
    connection: AsyncConnection, organization_id: str, member: Member, actor: Actor
) -> StoredOrganizationMembership:
    """In the transaction of the caller, who holds the organization. Raises Unprocessable."""
    user = await find_or_make_user(connection, member, actor)
    if await rows.find_organization_membership(connection, organization_id, user.user_id) is not None:
        raise Unprocessable(
            f'"{user.user_id}" is a member of the organization "{organization_id}" already; '
            "change it with /organization/member_update",
            param="user_id",
        )
    values = {"organization_id": organization_id, "user_id": user.user_id, "created_at": now()}
    values["role"] = member.role or "internal_user"
    await rows.insert_organization_membership(connection, values)
    if user.organization_id is None:
        await change_organization(connection, user.user_id, organization_id)
    made = await rows.find_organization_membership(connection, organization_id, user.user_id)
    assert made is not None
    change = Change("organization.member_add", "organization", organization_id, None, snapshot(made))
    await record_change(connection, actor, change)
    return made


async def change_organization_member(
    connection: AsyncConnection, before: StoredOrganizationMembership, role: str, actor: Actor
) -> StoredOrganizationMembership:
    """In the transaction of the caller."""
    organization_id = before.organization_id
    await rows.update_organization_membership(connection, organization_id, before.user_id, {"role": role})
    after = await rows.find_organization_membership(connection, organization_id, before.user_id)
    assert after is not None
    change = Change("organization.member_update", "organization", organization_id, snapshot(before), snapshot(after))
    await record_change(connection, actor, change)
    return after


async def remove_organization_member(
    connection: AsyncConnection, before: StoredOrganizationMembership, actor: Actor
) -> None:
    """In the transaction of the caller."""
    organization_id = before.organization_id
    await rows.delete_organization_membership(connection, organization_id, before.user_id)
    user = await find_user(connection, before.user_id)
    if user is not None and user.organization_id == organization_id:
        await change_organization(connection, before.user_id, None)
    change = Change("organization.member_delete", "organization", organization_id, snapshot(before), None)
    await record_change(connection, actor, change)


async def _find(connection: AsyncConnection, organization_id: str, member: Member) -> StoredOrganizationMembership:
    user = await find_named_user(connection, member)
    found = await rows.find_organization_membership(connection, organization_id, user.user_id)
    if found is None:
        raise Unprocessable(
            f'"{user.user_id}" is no member of the organization "{organization_id}"; see GET /organization/info',
            param="user_id" if member.user_id is not None else "user_email",
        )
    return found
