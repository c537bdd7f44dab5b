"""What teams, projects, users, organizations, customers and members have spent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.postgres.owner_spend import Owner, spend_of_owners
from app.storage.postgres.receipts import KeySpend

__all__ = ["Level", "Owner", "spend_of"]
Level = Literal["organization", "team", "user", "member", "customer", "tag", "project"]
_COLUMNS: dict[Level, tuple[str, ...]] = {
    "organization": ("organization_id",),
    "team": ("team_id",),
    "user": ("user_id",),
    "member": ("team_id", "user_id"),
    "customer": ("customer_id",),
    "tag": ("tag",),
    "project": ("project_id",),
}


async def spend_of(
    connection: AsyncConnection, level: Level, windows: Sequence[tuple[Owner, datetime]]
) -> dict[Owner, KeySpend]:
    """Spend by owner (a member is its team and its user), for each pair of owner and start of its window.

    Also what keys spent that are deleted, or have another owner now.
    """
    return await spend_of_owners(connection, _COLUMNS[level], windows)
