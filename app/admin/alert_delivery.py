"""The use case of the deliverer: what is due goes out, each by itself, and is tried again until it has arrived.

A delivery is claimed for a while before it is tried. Who dies meanwhile leaves the claim to lapse, and another tries
it again: so each arrives at least once, and always with the same id.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.clock import now
from app.base.errors import GatewayError, StorageUnavailable
from app.base.logs import get_logger
from app.domain.alerts import RETRY_AFTER_S
from app.domain.roles import EVERYTHING
from app.notify.addresses import Address, from_text
from app.notify.sender import SENT_WITHIN_S, Sender, Undelivered
from app.storage.postgres import alert_outbox as outbox
from app.storage.postgres.alert_destinations import find_address, find_destination
from app.storage.postgres.alert_outbox import MOST_AT_ONCE_EACH, Claimed
from app.storage.postgres.credentials import CredentialCipher
from app.storage.postgres.engine import reading, transaction

_MOST_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Patience:
    """The pauses between attempts, and for how long a claim holds: longer than an attempt can take."""

    retry_after_s: Sequence[float] = RETRY_AFTER_S
    claim_s: float = SENT_WITHIN_S + 10


class AlertDelivery:
    """``configured`` are the addresses of destinations that have no row; ``cipher`` reads those that have one."""

    def __init__(
        self,
        engine: AsyncEngine,
        sender: Sender,
        configured: Mapping[str, Address],
        cipher: CredentialCipher,
        patience: Patience = Patience(),
    ) -> None:
        self._engine = engine
        self._sender = sender
        self._configured = configured
        self._cipher = cipher
        self._patience = patience
        self._running: dict[asyncio.Task[None], str] = {}
        self._log = get_logger()

    async def start_due(self) -> int:
        """Begin with what is due; returns how many. A destination that does not answer holds up no other."""
        room = _MOST_AT_ONCE - len(self._running)
        if room <= 0:
            return 0
        running = Counter(self._running.values())
        busy = [destination for destination, count in running.items() if count >= MOST_AT_ONCE_EACH]
        at = now()
        async with reading(self._engine) as connection:
            # Asked each second, and hardly ever so: claiming none would be the dearest thing that is done at rest.
            if not await outbox.is_any_due(connection, at):
                return 0
        async with transaction(self._engine) as connection:
            until = at + timedelta(seconds=self._patience.claim_s)
            claims = await outbox.claim_deliveries(connection, at, until, busy, room)
        for claimed in claims:
            task = asyncio.create_task(self._deliver(claimed))
            self._running[task] = claimed.destination_id
            task.add_done_callback(self._running.pop)
        return len(claims)

    async def close(self, timeout_s: float = 2) -> None:
        """Give what runs a moment; what is cut off is tried again by whoever finds its claim lapsed."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout_s)
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._sender.close()

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            failure = await self._try(claimed)
            if failure is not None:
                await self._note_failure(claimed, failure)
                return
            async with transaction(self._engine) as connection:
                await outbox.end_delivery(connection, claimed, "delivered", now())
        except StorageUnavailable as error:
            self._log.warning("an alert's delivery is not noted", event_id=claimed.event.event_id, reason=str(error))

    async def _try(self, claimed: Claimed) -> Undelivered | None:
        try:
            address = await self._find_address(claimed.destination_id)
            await self._sender.send(address, claimed.event, now())
        except Undelivered as error:
            return error
        except StorageUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, it is tried again, and not for ever
            self._log.exception("an alert's delivery failed", event_id=claimed.event.event_id)
            return Undelivered(f"it could not be sent ({type(error).__name__})")
        return None

    async def _find_address(self, destination_id: str) -> Address:
        """Raises Undelivered for one that is gone, or cannot be read."""
        if destination_id in self._configured:
            return self._configured[destination_id]
        async with reading(self._engine) as connection:
            destination = await find_destination(connection, EVERYTHING, destination_id)
            sealed = await find_address(connection, destination_id)
        if destination is None or sealed is None:
            raise Undelivered("the destination is gone", final=True)
        try:
            text = self._cipher.decrypt(destination_id, sealed.ciphertext, sealed.nonce, sealed.encryption_key_id)
        except GatewayError as error:
            raise Undelivered(error.message, final=True) from error
        return from_text(destination.kind, text)

    async def _note_failure(self, claimed: Claimed, error: Undelivered) -> None:
        pauses = self._patience.retry_after_s
        given_up = error.final or claimed.attempts > len(pauses)
        self._log.warning(
            "an alert was not delivered",
            event_id=claimed.event.event_id,
            destination_id=claimed.destination_id,
            attempt=claimed.attempts,
            given_up=given_up,
            reason=str(error),
        )
        async with transaction(self._engine) as connection:
            if given_up:
                await outbox.end_delivery(connection, claimed, "dead", now(), str(error))
            else:
                pause_s = max(pauses[claimed.attempts - 1], error.retry_after_s)
                await outbox.put_off_delivery(connection, claimed, now() + timedelta(seconds=pause_s), str(error))
