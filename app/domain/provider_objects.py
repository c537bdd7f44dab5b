"""What a provider keeps for a caller of ours (a batch, a file, a response), and whose it is."""

from datetime import datetime
from typing import Literal

import msgspec

from app.domain.access import Principal

LONGEST_RESPONSE_ID = 512
"""A longer name is not noted: no index of Postgres could hold it. OpenAI's have some fifty characters."""
ObjectKind = Literal["batch", "file"]


class ProviderObject(msgspec.Struct, frozen=True):
    """Noted when it was made through us; unique by ``kind`` and ``object_id``, the provider's own name for it.

    ``api_base`` and ``deployment_id`` say where it is kept. ``facts`` is what the data plane noted for later, in its
    own words. ``booked_at``: when all of its results had been booked.
    """

    kind: ObjectKind
    object_id: str
    organization_id: str | None
    team_id: str | None
    user_id: str | None
    key_id: str
    provider: str
    api_base: str
    deployment_id: str
    created_at: datetime
    facts: bytes = b""
    booked_at: datetime | None = None


class ResponseOwner(msgspec.Struct, frozen=True):
    """Who made a response that a provider keeps. There is one for many a call, so no more is noted of it."""

    key_id: str
    team_id: str | None


class PageAsked(msgspec.Struct, frozen=True):
    """A page of a list that begins with the newest: at most ``limit`` that are older than the object ``after``, or
    newer than ``before``; ``only`` these, where not None."""

    limit: int
    after: str | None = None
    before: str | None = None
    only: tuple[str, ...] | None = None


def may_handle(principal: Principal, record: ProviderObject | ResponseOwner) -> bool:
    """The key that made it, any key of the same team, and the master key."""
    key = principal.key
    return (
        principal.is_admin or key.key_id == record.key_id or (key.team_id is not None and key.team_id == record.team_id)
    )
