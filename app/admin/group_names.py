"""``access_group_ids`` of keys and teams: the access groups among the entries of their list of models."""

from collections.abc import Iterable, Sequence

from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.errors import Unprocessable
from app.domain.access import NO_MODELS
from app.storage.postgres.deployments import which_are_groups


async def with_groups(
    connection: AsyncConnection,
    models: Sequence[str] | UnsetType,
    group_ids: Sequence[str] | UnsetType,
    present: Sequence[str] = (),
) -> tuple[str, ...] | UnsetType:
    """The list of models that is to be written, where ``present`` stands now; UNSET leaves it.

    Without ``models`` the groups take the place of those that stand there. A list that held nothing but groups, and
    loses them, allows nothing then, rather than everything. Raises Unprocessable for a group that nobody knows.
    """
    if group_ids is UNSET:
        return models if models is UNSET else tuple(models)
    known = await which_are_groups(connection, [*group_ids, *present])
    for group_id in group_ids:
        if group_id not in known:
            raise Unprocessable(
                f'"access_group_ids" holds "{group_id}", which is no access group; see GET /v1/access_group, and make '
                "it there first",
                param="access_group_ids",
            )
    kept = [entry for entry in present if entry not in known] if models is UNSET else models
    wanted = tuple(dict.fromkeys([*kept, *group_ids]))
    return wanted if wanted or models is not UNSET or not present else (NO_MODELS,)


async def groups_of(connection: AsyncConnection, lists: Iterable[Sequence[str]]) -> frozenset[str]:
    """Which entries of these lists of models are groups, in one query for all."""
    named = {entry for models in lists for entry in models}
    return await which_are_groups(connection, sorted(named)) if named else frozenset()
