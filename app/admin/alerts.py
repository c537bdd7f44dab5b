"""Use cases of alerts: where they go, what has happened, a test, and another try at what was given up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.provider_secrets import check_address
from app.admin.standings import snapshot
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.base.ids import new_id
from app.base.secret import Secret
from app.domain.alert_words import trial
from app.domain.alerts import AlertEvent, DestinationKind
from app.domain.roles import EVERYTHING, Tenant
from app.notify.addresses import Address, MailAddress, WebhookAddress, to_text
from app.notify.messages import new_webhook_secret
from app.providers.egress import Egress
from app.storage.postgres import alert_destinations as destinations
from app.storage.postgres import alert_outbox as outbox
from app.storage.postgres.alert_destinations import SealedAddress, StoredDestination
from app.storage.postgres.alert_outbox import EventFilter, Route, StoredDelivery
from app.storage.postgres.credentials import CredentialCipher
from app.storage.postgres.engine import transaction
from app.storage.postgres.teams import find_team

CONFIGURED_BY = "config"
_MOST_DESTINATIONS = 100


@dataclass(frozen=True, slots=True)
class NewDestination:
    """As it is asked for; a webhook without a ``secret`` in its address gets one."""

    name: str
    kind: DestinationKind
    address: Address
    alert_kinds: tuple[str, ...] = ()
    team_id: str | None = None


@dataclass(frozen=True, slots=True)
class EventView:
    """``deliveries`` are those to destinations that the reader may see."""

    event: AlertEvent
    deliveries: tuple[StoredDelivery, ...]


class Alerts:
    """``configured`` are the kinds of the destinations of the configuration, by their ids: they cannot be changed."""

    def __init__(
        self, engine: AsyncEngine, cipher: CredentialCipher, egress: Egress, configured: Mapping[str, DestinationKind]
    ) -> None:
        self._engine = engine
        self._cipher = cipher
        self._egress = egress
        self._configured = configured

    async def create(self, wanted: NewDestination, actor: Actor) -> tuple[StoredDestination, Secret | None]:
        """The destination, and the secret that signs what is sent to a webhook.

        Raises Unprocessable: an address that may not be reached, a team that is not known.
        """
        address = wanted.address
        if isinstance(address, WebhookAddress) and address.secret is None:
            address = replace(address, secret=new_webhook_secret())
        if not isinstance(address, MailAddress):
            await check_address(self._egress, address.url.reveal(), "url")
        destination_id = new_id("dest")
        made = StoredDestination(
            destination_id=destination_id,
            name=wanted.name,
            kind=wanted.kind,
            team_id=wanted.team_id,
            shown=shown(address),
            alert_kinds=wanted.alert_kinds,
            created_at=now(),
            created_by=actor.name,
        )
        sealed = SealedAddress(*self._cipher.encrypt(destination_id, to_text(address)), self._cipher.key_id)
        async with transaction(self._engine) as connection:
            await _check_team(connection, wanted.team_id, actor.tenant)
            present = await destinations.list_destinations(connection, EVERYTHING)
            if sum(one.team_id == wanted.team_id for one in present) >= _MOST_DESTINATIONS:
                raise Unprocessable(f"there are {_MOST_DESTINATIONS} destinations already; delete one", param="name")
            await destinations.insert_destination(connection, made, sealed)
            await _record(connection, actor, "alert_destination.new", None, made)
        return made, address.secret if isinstance(address, WebhookAddress) else None

    async def delete(self, destination_id: str, actor: Actor) -> StoredDestination:
        """What waits for it is given up. Raises NotFound, and Unprocessable for one of the configuration."""
        if destination_id in self._configured and actor.tenant.everything:
            raise Unprocessable(
                f'"{destination_id}" stands in the configuration; change it there', param="destination_id"
            )
        async with transaction(self._engine) as connection:
            found = await _get(connection, actor.tenant, destination_id)
            await destinations.delete_destination(connection, destination_id)
            await _record(connection, actor, "alert_destination.delete", found, None)
        return found

    async def list_destinations(self, tenant: Tenant, team_id: str | None) -> list[StoredDestination]:
        """Oldest first; those of the configuration come before, for who reaches everything."""
        async with transaction(self._engine) as connection:
            stored = await destinations.list_destinations(connection, tenant, () if team_id is None else (team_id,))
        return [*(self._of_configuration() if tenant.everything and team_id is None else ()), *stored]

    async def send_test(self, destination_id: str, actor: Actor) -> AlertEvent:
        """It takes the way of all alerts. Raises NotFound."""
        async with transaction(self._engine) as connection:
            known = {one.destination_id: one for one in self._of_configuration()}
            if not (actor.tenant.everything and destination_id in known):
                known[destination_id] = await _get(connection, actor.tenant, destination_id)
            destination = known[destination_id]
            alert = replace(trial(new_id("test"), destination.name), team_id=destination.team_id)
            await outbox.write_alerts(connection, [alert], [Route(destination_id)])
            event = await outbox.find_event_named(connection, alert.name)
            change = Change("alert.test", "alert_destination", destination_id, None, {"event_id": event.event_id})
            await record_change(connection, actor, change)
        return event

    async def retry(self, event_id: str, actor: Actor) -> EventView:
        """Try again what was given up. Raises NotFound; Unprocessable when nothing was."""
        async with transaction(self._engine) as connection:
            event = await outbox.find_event(connection, actor.tenant, event_id)
            if event is None:
                raise NotFound(f'no such event: "{event_id}"; see GET /alert/events', param="event_id")
            own = await self._visible(connection, actor.tenant)
            count = await outbox.revive_deliveries(connection, event_id, own, now())
            if not count:
                raise Unprocessable(f'no delivery of "{event_id}" was given up, so there is none to try again')
            await record_change(connection, actor, Change("alert.retry", "alert", event_id, None, {"count": count}))
            return (await self._views(connection, actor.tenant, [event]))[0]

    async def events(
        self, tenant: Tenant, wanted: EventFilter, number: int, size: int
    ) -> tuple[Sequence[EventView], int]:
        """One page, newest first, and how many there are on all pages."""
        async with transaction(self._engine) as connection:
            found, total = await outbox.page_events(connection, tenant, wanted, number, size)
            return await self._views(connection, tenant, found), total

    async def _views(
        self, connection: AsyncConnection, tenant: Tenant, events: Sequence[AlertEvent]
    ) -> list[EventView]:
        deliveries = await outbox.list_deliveries(connection, [event.event_id for event in events])
        own = await self._visible(connection, tenant)
        return [
            EventView(
                event, tuple(one for one in deliveries[event.event_id] if own is None or one.destination_id in own)
            )
            for event in events
        ]

    async def _visible(self, connection: AsyncConnection, tenant: Tenant) -> frozenset[str] | None:
        """The destinations whose deliveries are shown; None is all, those that are gone too."""
        if tenant.everything:
            return None
        return frozenset(one.destination_id for one in await destinations.list_destinations(connection, tenant))

    def _of_configuration(self) -> list[StoredDestination]:
        return [
            StoredDestination(destination_id, destination_id, kind, None, "", (), _UNKNOWN, CONFIGURED_BY)
            for destination_id, kind in self._configured.items()
        ]


_UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)


def shown(address: Address) -> str:
    """What may be seen of it: the host of a URL, whose path is mostly a secret, and the recipients of mail."""
    if isinstance(address, MailAddress):
        return ", ".join(address.recipients)
    scheme, _, rest = address.url.reveal().partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}/…"


async def _check_team(connection: AsyncConnection, team_id: str | None, tenant: Tenant) -> None:
    if team_id is not None and await find_team(connection, tenant, team_id) is None:
        raise Unprocessable(f'"team_id" is no team: "{team_id}"; see GET /team/list', param="team_id")


async def _get(connection: AsyncConnection, tenant: Tenant, destination_id: str) -> StoredDestination:
    found = await destinations.find_destination(connection, tenant, destination_id)
    if found is None:
        raise NotFound(f'no such destination: "{destination_id}"; see GET /alert/destination', param="destination_id")
    return found


async def _record(
    connection: AsyncConnection,
    actor: Actor,
    action: str,
    before: StoredDestination | None,
    after: StoredDestination | None,
) -> None:
    one = before or after
    assert one is not None
    states = [None if state is None else snapshot(state) for state in (before, after)]
    await record_change(connection, actor, Change(action, "alert_destination", one.destination_id, *states))
