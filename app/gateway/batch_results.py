"""The receipts of a batch: booked when its results are read, each result once.

What a batch costs is known when its results are there, hours later, so nothing is held for it. Whoever reads the
results, however often, moves the same receipts to the books:

- **A receipt has one name for ever.** Its request id is the batch's id and the request's ``custom_id``; its time, a
  part of its key in the book of record, is that of the first reading, written into the batch's row once; its owner,
  price and labels were noted when the batch was made. So two readings make the very same receipt, and the book drops
  the second.
- **Only the book moves counters.** A receipt goes to the ledger without a hold, which moves no counter. Whoever drains
  the ledger adds it to the counters of its key when, and only when, the book did not have it, in the step that takes it
  off the stream.
- **What is booked already is left out**: the book is asked for the names of each piece of the results before they are
  sent to the ledger. That is thrift: readings that run at once, and pieces that are not drained yet, are sent twice
  and dropped.
- **Booked, then shown.** Whole lines go to the client after the ledger has taken their receipts. So what a client has
  seen is booked, whoever leaves or is killed; what it has not seen is booked when the results are read again.
  Meanwhile the connection gathers what comes, so a piece is as large as the booking before it was slow.

Results that nobody reads in the time for which the provider keeps them are never booked.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from app.base import clock
from app.base.errors import UpstreamUnreadable
from app.base.logs import get_logger
from app.domain.catalog import Deployment
from app.domain.pricing import PriceSheet, cost_of
from app.domain.provider_objects import ProviderObject
from app.domain.spend import Receipt
from app.domain.usage import Usage
from app.gateway.attribution import SESSION_HEADER
from app.gateway.call import Call
from app.gateway.estimate import tokens_of_bytes
from app.gateway.ports import ProviderObjects
from app.gateway.settle import Settlement
from app.protocols.anthropic_messages.batches import Batch, BatchResult, ResultLines
from app.protocols.codec import Envelope
from app.providers.provider import UpstreamReply


class Served(msgspec.Struct, frozen=True, array_like=True):
    """What a name in the batch was taken to mean when it was made; ``sheet`` is the price in a batch, ``scopes`` what
    its receipts count on beside their owners."""

    model_asked: str
    model_served: str
    deployment_id: str
    sheet: PriceSheet
    scopes: tuple[str, ...] = ()


class Lot(msgspec.Struct, frozen=True, array_like=True):
    """What some requests of a batch have in common; ``served`` is a place in the facts' list."""

    served: int
    customer_id: str | None
    session_id: str | None


class BatchFacts(msgspec.Struct, frozen=True):
    """What the receipts of a batch will say. ``lot_of`` names those requests that are not of the first lot."""

    route: str
    tags: tuple[str, ...]
    agent_id: str | None
    served: tuple[Served, ...]
    lots: tuple[Lot, ...]
    lot_of: Mapping[str, int]
    project: str | None = None
    client: str | None = None
    project_id: str | None = None


def facts_of(
    call: Call,
    batch: Batch,
    served_by: Mapping[str, Deployment],
    sheets: Mapping[str, PriceSheet],
    scopes: Mapping[str, tuple[str, ...]],
    draft: Receipt,
) -> BatchFacts:
    """``draft`` has the labels that all requests share; ``scopes`` are those of ``Served``."""
    places = {asked: number for number, asked in enumerate(served_by)}
    header_session = next((True for name, _ in call.headers if name == SESSION_HEADER), False)

    def lot_of(params: Envelope) -> Lot:
        return Lot(places[params.model], params.customer, draft.session_id if header_session else params.session_id)

    lots = {item.custom_id: lot_of(item.params) for item in batch.items}
    ranked = {lot: number for number, (lot, _) in enumerate(Counter(lots.values()).most_common())}
    return BatchFacts(
        route=call.route,
        tags=draft.tags,
        agent_id=draft.agent_id,
        served=tuple(
            Served(asked, place.upstream_model, place.deployment_id, sheets[asked], scopes.get(asked, ()))
            for asked, place in served_by.items()
        ),
        lots=tuple(ranked),
        lot_of={custom_id: ranked[lot] for custom_id, lot in lots.items() if ranked[lot]},
        project=draft.project,
        client=draft.client,
        project_id=draft.project_id,
    )


class Booking:
    """The Watch of one reading of results."""

    def __init__(
        self, record: ProviderObject, read_at: datetime, store: ProviderObjects, settlement: Settlement
    ) -> None:
        self._record = record
        self._facts = msgspec.json.decode(record.facts, type=BatchFacts)
        self._read_at = read_at
        self._store = store
        self._settlement = settlement
        self._lines = ResultLines()

    async def pass_on(self, chunk: bytes) -> bytes:
        lines, results = self._lines.feed(chunk)
        if self._lines.overflowed:
            raise UpstreamUnreadable(
                f'a result of batch "{self._record.object_id}" is longer than any can be',
                provider=self._record.provider,
            )
        await self._book(results)
        return lines

    async def end(self) -> bytes:
        rest, results = self._lines.flush()
        await self._book(results)
        if self._lines.unread:
            get_logger().error(
                "lines of batch results could not be read", batch_id=self._record.object_id, lines=self._lines.unread
            )
        await self._store.end_results(self._record.object_id, clock.now())
        return rest

    async def _book(self, results: Sequence[BatchResult]) -> None:
        if not results:
            return
        receipts = {receipt.request_id: receipt for receipt in map(self._receipt, results)}
        booked = await self._store.find_booked(list(receipts), self._read_at)
        await self._settlement.book([receipt for name, receipt in receipts.items() if name not in booked])

    def _receipt(self, result: BatchResult) -> Receipt:
        record, facts, report = self._record, self._facts, result.report
        lot = facts.lots[facts.lot_of.get(result.custom_id, 0)]
        served = facts.served[lot.served]
        counted = report.usage is not None and report.final
        usage = report.usage if counted else Usage(output=tokens_of_bytes(report.output_bytes))
        assert usage is not None
        usage = msgspec.structs.replace(usage, service="batch")
        return Receipt(
            request_id=f"{record.object_id}:{result.custom_id}",
            attempt=1,
            started_at=self._read_at,
            duration_ms=0,
            first_byte_ms=None,
            organization_id=record.organization_id,
            team_id=record.team_id,
            user_id=record.user_id,
            key_id=record.key_id,
            customer_id=lot.customer_id,
            tags=facts.tags,
            session_id=lot.session_id,
            agent_id=facts.agent_id,
            route=facts.route,
            model_asked=served.model_asked,
            model_served=served.model_served,
            provider=record.provider,
            deployment_id=served.deployment_id,
            protocol_in="anthropic_messages",
            protocol_out="anthropic_messages",
            streamed=False,
            usage=usage,
            cost=cost_of(usage, served.sheet),
            price_version=served.sheet.version,
            price_source=served.sheet.source,
            usage_source="provider" if counted else "estimated",
            status="ok",
            finish_reason=report.finish_reason,
            request_class="batch",
            project=facts.project,
            client=facts.client,
            scopes=served.scopes,
            project_id=facts.project_id,
        )


def check_plain(reply: UpstreamReply, record: ProviderObject) -> None:
    """What is packed in a way that nobody here knows cannot be counted. Raises UpstreamUnreadable."""
    for name, value in reply.headers:
        if name.lower() == b"content-encoding" and value.lower() != b"identity":
            raise UpstreamUnreadable(
                f'provider "{record.provider}" sent the results of batch "{record.object_id}" packed as '
                f'"{value.decode("latin-1")[:40]}", so they cannot be counted',
                provider=record.provider,
            )
