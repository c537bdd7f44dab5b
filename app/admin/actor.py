"""Who makes a change, and the line that it leaves in the audit trail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.clock import now
from app.domain.roles import EVERYTHING, MASTER, Standing, Tenant
from app.storage.postgres.audit import AuditEntry, insert_entries

# LiteLLM's name for whoever holds the master key; scripts compare with it.
MASTER_ACTOR = "default_user_id"


@dataclass(frozen=True, slots=True)
class Actor:
    """``changed_by`` is what the ``litellm-changed-by`` header says: on whose behalf ``name`` acts.

    ``key_id`` is the virtual key that was shown; None for the master key. ``tenant`` is whose rows this action may
    touch, ``standing`` what the actor is.
    """

    name: str = MASTER_ACTOR
    client_address: str | None = None
    changed_by: str | None = None
    key_id: str | None = None
    tenant: Tenant = EVERYTHING
    standing: Standing = MASTER


@dataclass(frozen=True, slots=True)
class Change:
    """One thing before and after; None where it did not or does not exist."""

    action: str
    object_type: str
    object_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


async def record_change(connection: AsyncConnection, actor: Actor, change: Change) -> None:
    """In the transaction of the change itself, and last in it: the end of the audit's chain is locked from here on."""
    await record_changes(connection, actor, [change])


async def record_changes(connection: AsyncConnection, actor: Actor, changes: Sequence[Change]) -> None:
    """Several at once, as ``record_change``."""
    await insert_entries(connection, [_entry(actor, change) for change in changes])


def _entry(actor: Actor, change: Change) -> AuditEntry:
    return AuditEntry(
        at=now(),
        actor=actor.name,
        changed_by=actor.changed_by,
        client_address=actor.client_address,
        action=change.action,
        object_type=change.object_type,
        object_id=change.object_id,
        before=change.before,
        after=change.after,
        actor_key_id=actor.key_id,
    )
