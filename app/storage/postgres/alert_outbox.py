"""What happened, once, and the outbox of what is still to be told: both written in one transaction."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import new_id
from app.domain.alerts import Alert, AlertEvent, Told
from app.domain.roles import Tenant
from app.storage.postgres.columns import TIME
from app.storage.postgres.tables import alert_deliveries, alert_events
from app.storage.postgres.tenants import within


@dataclass(frozen=True, slots=True)
class Route:
    """A destination, and what it wants to hear of: ``alert_kinds`` empty is all, ``team_id`` None of everybody."""

    destination_id: str
    alert_kinds: Collection[str] = ()
    team_id: str | None = None

    def takes(self, alert: Alert) -> bool:
        heard = self.team_id is None or self.team_id == alert.team_id
        return heard and (not self.alert_kinds or alert.kind in self.alert_kinds)


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """``state`` is pending, delivered or dead; ``ended_at`` is of the last two."""

    destination_id: str
    state: str
    attempts: int
    next_attempt_at: datetime
    last_error: str | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is this process's to try; ``attempts`` counts this one."""

    event: AlertEvent
    destination_id: str
    attempts: int


@dataclass(frozen=True, slots=True)
class EventFilter:
    kind: str | None = None
    team_id: str | None = None
    state: str | None = None
    sent: bool | None = None


_EVENT = tuple(AlertEvent.__slots__)
_DELIVERY = tuple(StoredDelivery.__slots__)
_events, _deliveries = alert_events.c, alert_deliveries.c


async def write_alerts(connection: AsyncConnection, alerts: Sequence[Alert], routes: Sequence[Route]) -> list[Alert]:
    """Note those that nobody has noted, and what of them is to be delivered where; returns them."""
    new = []
    known = await _known_names(connection, [alert.name for alert in alerts])
    for alert in alerts:
        if alert.name in known:
            continue
        values = {name: getattr(alert, name) for name in Alert.__slots__} | {"event_id": new_id("evt")}
        made = insert(alert_events).values(**values).on_conflict_do_nothing(index_elements=["name"])
        event_id = (await connection.execute(made.returning(_events.event_id))).scalar_one_or_none()
        if event_id is None:
            continue
        new.append(alert)
        to = [route.destination_id for route in routes if alert.sent and route.takes(alert)]
        await add_deliveries(connection, event_id, to)
    return new


async def add_deliveries(connection: AsyncConnection, event_id: str, destination_ids: Sequence[str]) -> None:
    if destination_ids:
        rows = [{"event_id": event_id, "destination_id": one} for one in destination_ids]
        await connection.execute(insert(alert_deliveries).values(rows))


async def list_told(connection: AsyncConnection, subjects: Collection[str]) -> dict[str, list[Told]]:
    """What was told of each of these before."""
    told: dict[str, list[Told]] = defaultdict(list)
    if subjects:
        query = select(_events.subject, _events.kind, _events.percent, _events.spent_nanousd)
        wanted = _events.subject.in_(subjects)
        for row in await connection.execute(query.where(wanted)):
            told[row.subject].append(Told(row.kind, row.percent or 0, row.spent_nanousd or 0))
    return told


async def last_told(connection: AsyncConnection, subjects: Collection[str]) -> dict[str, datetime]:
    """When each of these was told of last; those never told are left out."""
    if not subjects:
        return {}
    query = select(_events.subject, func.max(_events.created_at)).where(_events.subject.in_(subjects))
    rows = await connection.execute(query.group_by(_events.subject))
    return {subject: at for subject, at in rows}  # noqa: C416  rows are no tuples to the type checker


_DUE = text("SELECT EXISTS (SELECT FROM alert_deliveries WHERE state = 'pending' AND next_attempt_at <= :at)")


async def is_any_due(connection: AsyncConnection, at: datetime) -> bool:
    """Whether ``claim_deliveries`` may find some; by its index, and far cheaper."""
    return bool((await connection.execute(_DUE, {"at": at})).scalar_one())


async def claim_deliveries(
    connection: AsyncConnection, at: datetime, until: datetime, busy: Collection[str], count: int
) -> list[Claimed]:
    """Up to ``count`` that are due, a few of each destination and none of ``busy`` ones, oldest first.

    Nobody else tries them before ``until``; if nothing is heard of them by then, somebody does.
    """
    place = func.row_number().over(
        partition_by=_deliveries.destination_id, order_by=(_deliveries.next_attempt_at, _deliveries.event_id)
    )
    due = (
        select(_deliveries.event_id, _deliveries.destination_id, _deliveries.next_attempt_at, place.label("place"))
        .where(_deliveries.state == "pending", _deliveries.next_attempt_at <= at)
        .where(_deliveries.destination_id.not_in(busy))
        .subquery("due")
    )
    same = and_(_deliveries.event_id == due.c.event_id, _deliveries.destination_id == due.c.destination_id)
    free = (
        select(_deliveries.event_id, _deliveries.destination_id)
        .select_from(alert_deliveries.join(due, same))
        .where(due.c.place <= MOST_AT_ONCE_EACH, _deliveries.next_attempt_at <= at, _deliveries.state == "pending")
        .order_by(due.c.next_attempt_at)
        .limit(count)
        .with_for_update(of=alert_deliveries, skip_locked=True)
        .cte("free")
    )
    taken = (
        update(alert_deliveries)
        .where(_deliveries.event_id == free.c.event_id, _deliveries.destination_id == free.c.destination_id)
        .values(attempts=_deliveries.attempts + 1, next_attempt_at=until)
        .returning(_deliveries.event_id, _deliveries.destination_id, _deliveries.attempts)
    )
    claims = (await connection.execute(taken)).all()
    events = await _find_events(connection, [claim.event_id for claim in claims])
    return [Claimed(events[claim.event_id], claim.destination_id, claim.attempts) for claim in claims]


MOST_AT_ONCE_EACH = 4


async def end_delivery(
    connection: AsyncConnection, claimed: Claimed, state: str, at: datetime, error: str | None = None
) -> None:
    """It has arrived, or is given up."""
    values = {"state": state, "last_error": error, "ended_at": at}
    await connection.execute(update(alert_deliveries).where(*_is(claimed)).values(**values))


async def put_off_delivery(connection: AsyncConnection, claimed: Claimed, until: datetime, error: str) -> None:
    values = {"last_error": error, "next_attempt_at": until}
    await connection.execute(update(alert_deliveries).where(*_is(claimed)).values(**values))


async def revive_deliveries(
    connection: AsyncConnection, event_id: str, destination_ids: Collection[str] | None, at: datetime
) -> int:
    """Try those again that were given up, from the first attempt on, to these destinations or to all; how many."""
    dead = [_deliveries.event_id == event_id, _deliveries.state == "dead"]
    if destination_ids is not None:
        dead.append(_deliveries.destination_id.in_(destination_ids))
    values = {"state": "pending", "attempts": 0, "next_attempt_at": at, "ended_at": None}
    return (await connection.execute(update(alert_deliveries).where(*dead).values(**values))).rowcount


async def find_event_named(connection: AsyncConnection, name: str) -> AlertEvent:
    """Of one that was just written."""
    query = select(*(_events[name] for name in _EVENT)).where(_events.name == name)
    return AlertEvent(**(await connection.execute(query)).one()._mapping)


async def find_event(connection: AsyncConnection, tenant: Tenant, event_id: str) -> AlertEvent | None:
    query = select(*(_events[name] for name in _EVENT)).where(_events.event_id == event_id)
    row = (await connection.execute(query.where(*within(tenant, alert_events)))).one_or_none()
    return None if row is None else AlertEvent(**row._mapping)


async def page_events(
    connection: AsyncConnection, tenant: Tenant, wanted: EventFilter, number: int, size: int
) -> tuple[list[AlertEvent], int]:
    """One page, counted from 1, newest first, and how many there are on all pages."""
    conditions = within(tenant, alert_events)
    if wanted.kind is not None:
        conditions.append(_events.kind == wanted.kind)
    if wanted.team_id is not None:
        conditions.append(_events.team_id == wanted.team_id)
    if wanted.sent is not None:
        conditions.append(_events.sent.is_(wanted.sent))
    if wanted.state is not None:
        of_state = select(_deliveries.event_id).where(_deliveries.state == wanted.state)
        conditions.append(_events.event_id.in_(of_state))
    total = (await connection.execute(select(func.count()).select_from(alert_events).where(*conditions))).scalar_one()
    query = select(*(_events[name] for name in _EVENT)).where(*conditions)
    ordered = query.order_by(_events.created_at.desc(), _events.event_id.desc())
    rows = await connection.execute(ordered.limit(size).offset((number - 1) * size))
    return [AlertEvent(**row._mapping) for row in rows], total


async def list_deliveries(connection: AsyncConnection, event_ids: Collection[str]) -> dict[str, list[StoredDelivery]]:
    """By event, of events that were found before."""
    found: dict[str, list[StoredDelivery]] = {event_id: [] for event_id in event_ids}
    query = select(_deliveries.event_id, *(_deliveries[name] for name in _DELIVERY))
    wanted = query.where(_deliveries.event_id.in_(event_ids))
    for row in await connection.execute(wanted.order_by(_deliveries.destination_id)):
        found[row.event_id].append(StoredDelivery(**{name: getattr(row, name) for name in _DELIVERY}))
    return found


async def drop_events(connection: AsyncConnection, before: datetime, at: datetime, most: int) -> int:
    """Those of before, with their deliveries, the oldest first; how many went.

    What was told of a budget stays while its window runs, or it would be told again: of one that never resets, always.
    """
    ends = _events.facts["resets_at"].astext.cast(TIME)
    over = or_(~_events.facts.has_key("resets_at"), ends < at)
    gone = select(_events.event_id).where(_events.created_at < before, over).order_by(_events.created_at).limit(most)
    return (await connection.execute(delete(alert_events).where(_events.event_id.in_(gone)))).rowcount


async def _known_names(connection: AsyncConnection, names: Collection[str]) -> set[str]:
    """Most of what is found was found before; another process may still be first with the rest."""
    if not names:
        return set()
    return set((await connection.execute(select(_events.name).where(_events.name.in_(names)))).scalars())


async def _find_events(connection: AsyncConnection, event_ids: Collection[str]) -> dict[str, AlertEvent]:
    if not event_ids:
        return {}
    query = select(*(_events[name] for name in _EVENT)).where(_events.event_id.in_(event_ids))
    return {row.event_id: AlertEvent(**row._mapping) for row in await connection.execute(query)}


def _is(claimed: Claimed) -> tuple[Any, ...]:
    of_event = _deliveries.event_id == claimed.event.event_id
    return of_event, _deliveries.destination_id == claimed.destination_id, _deliveries.state == "pending"
