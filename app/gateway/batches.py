"""Batches of messages: made under the rules of the key, of its budget, and of the one host that takes them."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from app.base import clock
from app.base.errors import DeploymentSpent, GatewayError, InvalidRequest, StorageUnavailable, UpstreamUnreadable
from app.base.logs import get_logger
from app.base.money import NanoUSD, format_usd
from app.domain.access import Principal
from app.domain.catalog import Deployment, Model
from app.domain.pricing import BATCH_DIVISORS, NO_COST, PriceSheet, batch_sheet
from app.domain.provider_objects import ProviderObject
from app.domain.spend import Admitted, BudgetClaim, Claim, RateClaim, Receipt
from app.domain.tenancy import scope_of_pool, serving_of
from app.domain.usage import Usage
from app.gateway.admit import Admission
from app.gateway.attribution import tags_of
from app.gateway.batch_results import Booking, check_plain, facts_of
from app.gateway.call import Call, Grant, Reply
from app.gateway.claims import budget_claims, deployment_claims, further_scopes, rate_claims, whose
from app.gateway.dispatch import dispatch, headers_back
from app.gateway.drafts import draft_receipt
from app.gateway.estimate import Estimate, estimate
from app.gateway.exchange import Verbatim
from app.gateway.objects import (
    Custody,
    PassingBody,
    Watch,
    at_best,
    finish_anyway,
    no_such_route,
    path_below,
    record_of,
)
from app.gateway.ports import ProviderObjects
from app.gateway.relay import read_whole
from app.gateway.settle import Settlement
from app.protocols.anthropic_messages.batches import (
    Batch,
    object_id_of,
    read_batch,
    rewrite_batch,
    with_own_results_url,
    with_own_results_urls,
)
from app.protocols.codec import Envelope
from app.providers.host_table import HOSTS
from app.providers.provider import Upstream, UpstreamReply

T = TypeVar("T")

PATH = "/v1/messages/batches"
_LONG_BYTES = 256 * 1024


class Order(msgspec.Struct, frozen=True):
    """A batch that may be sent: ``sheets`` are the prices in it, ``most_nanousd`` is what it can sensibly cost, by the
    names of the models."""

    batch: Batch
    served_by: Mapping[str, Deployment]
    sheets: Mapping[str, PriceSheet]
    body: bytes
    most_nanousd: Mapping[str, NanoUSD]

    def most_on(self, scope: str) -> NanoUSD:
        """What of it may count on a scope: on a deployment's or provider's, what that is to serve."""
        if serving_of(scope) is None:
            return sum(self.most_nanousd.values())
        return sum(
            self.most_nanousd[asked]
            for asked, place in self.served_by.items()
            if any(scope_of_pool(budget.budget_id) == scope for budget in place.budgets)
        )


class _NoRoomThere(InvalidRequest):
    """The budget with too little left is a deployment's or a provider's: another account may have room."""


class Batches:
    """The service of ``/v1/messages/batches``."""

    def __init__(
        self,
        custody: Custody,
        store: ProviderObjects,
        admission: Admission,
        upstream: Upstream,
        settlement: Settlement,
    ) -> None:
        self._custody = custody
        self._store = store
        self._admission = admission
        self._upstream = upstream
        self._settlement = settlement
        self._log = get_logger()

    async def serve(self, call: Call, principal: Principal) -> Reply:
        custody = self._custody
        match call.method, path_below(call, PATH):
            case "POST", []:
                return await self._create(call, principal)
            case "GET", []:
                if not principal.is_admin:
                    return await custody.list_page(call, principal, "batch", with_own_results_url)
                place = custody.place_of(call, principal, None)
                reply, _ = await custody.ask_whole(call, principal, place, with_own_results_urls)
                return reply
            case ("GET", [batch_id]) | ("POST", [batch_id, "cancel"]):
                place = custody.place_of(call, principal, await custody.find(principal, "batch", batch_id))
                reply, _ = await custody.ask_whole(call, principal, place, with_own_results_url)
                return reply
            case "GET", [batch_id, "results"]:
                record = await custody.find(principal, "batch", batch_id)
                return await self._read_results(call, principal, record)
            case "DELETE", [batch_id]:
                record = await custody.find(principal, "batch", batch_id)
                if record is not None and record.booked_at is None:
                    await self._book_unread(call, principal, record)
                return await custody.delete(call, principal, record)
            case _:
                raise no_such_route(call)

    async def _create(self, call: Call, principal: Principal) -> Reply:
        batch = await _apart(call.body, lambda: read_batch(call.body, call.codec.read_envelope))
        first = batch.items[0].params
        tags = tags_of(call, principal, first)
        customers = dict.fromkeys(one for item in batch.items if (one := item.params.customer) is not None)
        principal = await self._admission.beside(principal, tuple(customers), tags)
        order, draft, admitted = await self._place(call, principal, batch, tags)
        place = next(iter(order.served_by.values()))
        outgoing = replace(call, body=order.body)
        exchange = Verbatim(outgoing, None, place, None)
        grant = Grant(principal, None, None, place, exchange, admitted, draft, next(iter(order.sheets.values())))
        self._settlement.watch(grant)
        return await finish_anyway(self._send(outgoing, grant, order))

    async def _place(
        self, call: Call, principal: Principal, batch: Batch, tags: tuple[str, ...]
    ) -> tuple[Order, Receipt, Admitted]:
        """With the first account whose own budgets have room for it."""
        refused: GatewayError | None = None
        try:
            for served_by in self._choose(principal, batch):
                sheets = {
                    asked: batch_sheet(self._admission.price(call, principal, asked, place), place.provider)
                    for asked, place in served_by.items()
                }
                order = await _apart(call.body, partial(_order, call, batch, served_by, sheets))
                draft = _draft(call, principal, order, tags)
                counted = isinstance(refused, _NoRoomThere)
                try:
                    return order, draft, await self._admit(call, principal, draft, order, counted=counted)
                except (DeploymentSpent, _NoRoomThere) as error:
                    refused = refused if isinstance(refused, _NoRoomThere) else error
            assert refused is not None
            raise refused
        except GatewayError:
            self._settlement.release(call)  # it was admitted where too little is left
            raise

    def _choose(self, principal: Principal, batch: Batch) -> Iterator[dict[str, Deployment]]:
        """A deployment for each model asked for, all of them on one host under one credential; then on other ones.

        Raises InvalidRequest, ModelNotFound, ModelNotAllowed, naming the request at fault.
        """
        models: dict[str, Model] = {}
        for number, item in enumerate(batch.items):
            asked = item.params.model
            if asked in models:
                continue
            place = f'requests.{number} (custom_id "{item.custom_id}")'
            try:
                models[asked] = self._admission.find_model(principal, asked)
            except GatewayError as error:
                error.message, error.param = f"{place}: {error.message}", f"requests.{number}.params.model"
                raise
            if not _batching(models[asked]):
                raise InvalidRequest(
                    f'{place}: model "{asked}" is not served by a provider that takes batches of messages '
                    f"({', '.join(BATCH_DIVISORS)}); send it to POST /v1/messages",
                    param=f"requests.{number}.params.model",
                )
        first = _batching(next(iter(models.values())))
        accounts = set()
        # Whatever is drawn, the host must have all the models.
        for drawn in sorted(first, key=lambda one: random.random() * one.weight, reverse=True):  # noqa: S311
            chosen = {asked: _on_host_of(drawn, model) for asked, model in models.items()}
            found = {asked: deployment for asked, deployment in chosen.items() if deployment is not None}
            if len(found) == len(models) and _account(drawn) not in accounts:
                accounts.add(_account(drawn))
                yield found
        if accounts:
            return
        names = ", ".join(f'"{asked}"' for asked in models)
        raise InvalidRequest(
            f"the models of this batch are not served by one host under one credential: {names}; "
            "send a batch for each host",
            param="requests",
        )

    async def _admit(
        self, call: Call, principal: Principal, draft: Receipt, order: Order, *, counted: bool
    ) -> Admitted:
        """One request of the minute, where it is not ``counted`` yet; a budget that is spent, or is less than the batch
        may cost, refuses it."""
        models = self._models(principal, order.served_by)
        rates = rate_claims(principal, tuple(models.values()))
        claim = Claim(
            request_id=call.request_id,
            rates=tuple(RateClaim(rate.scope, rate.limits.without_tokens(), counted) for rate in rates),
            tokens=0,
            budgets=(
                *budget_claims(principal, tuple(models.values()), 0, call.started_at),
                *_claims_of(order.served_by.values(), call),
            ),
            if_orphaned=draft,
        )
        admitted = await self._admission.reserve(call, principal, claim)
        for standing in admitted.budgets:
            left_nanousd = standing.claim.limit_nanousd - standing.spent_nanousd
            most_nanousd = order.most_on(standing.claim.scope)
            if most_nanousd > left_nanousd:
                owner = whose(principal, standing.claim.scope)
                kind = InvalidRequest if serving_of(standing.claim.scope) is None else _NoRoomThere
                raise kind(
                    f"this batch may cost up to {format_usd(most_nanousd)} USD at the batch price, and of the "
                    f"budget of {format_usd(standing.claim.limit_nanousd)} USD of {owner} only "
                    f"{format_usd(left_nanousd)} USD are left; "
                    "send fewer requests, lower max_tokens, or ask an admin to raise max_budget",
                    code="batch_over_budget",
                    param="requests",
                )
        return admitted

    def _models(self, principal: Principal, asked: Iterable[str]) -> dict[str, Model]:
        return {name: self._admission.find_model(principal, name) for name in asked}

    async def _send(self, call: Call, grant: Grant, order: Order) -> Reply:
        place = grant.deployment
        try:
            reply = await dispatch(call, grant, self._upstream)
            try:
                body = await read_whole(reply, place)
            finally:
                reply.close()
            headers = headers_back(call, grant, reply)
            if reply.status >= 300:
                return Reply(reply.status, headers, body)
            batch_id = object_id_of(body)
            if batch_id is None:
                raise UpstreamUnreadable(
                    f'provider "{place.provider}" gave the new batch no name', provider=place.provider
                )
            await self._keep(call, grant, order, batch_id)
            self._log.info(
                "batch made",
                request_id=call.request_id,
                key_id=grant.principal.key.key_id,
                batch_id=batch_id,
                requests=len(order.batch.items),
                most_nanousd=sum(order.most_nanousd.values()),
            )
            return Reply(reply.status, headers, with_own_results_url(body))
        finally:
            self._settlement.release(call)

    async def _keep(self, call: Call, grant: Grant, order: Order, batch_id: str) -> None:
        """Note the batch, or have it cancelled: one that nobody owns would be paid by nobody."""
        scopes = {
            name: further_scopes(
                (
                    *budget_claims(grant.principal, (model,), 0, call.started_at),
                    *deployment_claims(order.served_by[name], 0, call.started_at),
                )
            )
            for name, model in self._models(grant.principal, order.served_by).items()
        }
        assert grant.if_orphaned is not None
        facts = msgspec.json.encode(
            facts_of(call, order.batch, order.served_by, order.sheets, scopes, grant.if_orphaned)
        )
        try:
            await self._custody.keep(record_of(call, grant.principal, grant.deployment, "batch", batch_id, facts))
        except GatewayError as error:
            cancel = replace(call, upstream_path=f"{PATH}/{batch_id}/cancel", body=b"", query=b"")
            await at_best(self._custody.ask_whole(cancel, grant.principal, grant.deployment))
            if isinstance(error, StorageUnavailable):
                raise StorageUnavailable(
                    f'the provider took the batch as "{batch_id}", but it could not be noted and was cancelled there; '
                    "send it again"
                ) from error
            raise

    async def _read_results(self, call: Call, principal: Principal, record: ProviderObject | None) -> Reply:
        place = self._custody.place_of(call, principal, record)
        if record is None:
            return await self._custody.ask_streamed(call, principal, place)
        grant, reply = await self._custody.ask(call, principal, place)
        if reply.status >= 300:
            try:
                body = await read_whole(reply, place)
            finally:
                reply.close()
            return Reply(reply.status, headers_back(call, grant, reply), body)
        watch = await self._watch(reply, record)
        return Reply(reply.status, headers_back(call, grant, reply), PassingBody(reply, place, watch))

    async def _watch(self, reply: UpstreamReply, record: ProviderObject) -> Watch:
        try:
            check_plain(reply, record)
            read_at = await self._store.begin_results(record.object_id, clock.now())
        except BaseException:
            reply.close()
            raise
        return Booking(record, read_at, self._store, self._settlement)

    async def _book_unread(self, call: Call, principal: Principal, record: ProviderObject) -> None:
        """What is deleted can be read no more. Where there are no results, the provider decides what a deletion is."""
        path = f"{PATH}/{record.object_id}/results"
        question = replace(call, method="GET", upstream_path=path, body=b"", query=b"")
        place = self._custody.place_of(call, principal, record)
        _, reply = await self._custody.ask(question, principal, place)
        try:
            if reply.status >= 300:
                return
            watch = await self._watch(reply, record)
            while chunk := await reply.next_chunk(place.timeouts.idle_s):
                await watch.pass_on(chunk)
            await watch.end()
        except TimeoutError as error:
            raise UpstreamUnreadable(
                f'the results of batch "{record.object_id}" stopped in the middle, so it is not deleted',
                provider=record.provider,
            ) from error
        finally:
            reply.close()


def _order(call: Call, batch: Batch, served_by: Mapping[str, Deployment], sheets: Mapping[str, PriceSheet]) -> Order:
    most_nanousd = dict.fromkeys(served_by, 0)
    for item in batch.items:
        most = estimate(item.params.body, item.params.max_output_tokens, sheets[item.params.model])
        most_nanousd[item.params.model] += most.hold_nanousd
    dialect = HOSTS[next(iter(served_by.values())).provider].speaks[0].dialect

    def rewrite(params: Envelope) -> bytes:
        return call.codec.rewrite(params, served_by[params.model].upstream_model, dialect, call.headers).body

    return Order(batch, served_by, sheets, rewrite_batch(batch, rewrite), most_nanousd)


def _draft(call: Call, principal: Principal, order: Order, tags: tuple[str, ...]) -> Receipt:
    """What is left should our process die while it sends the batch: that it was, and no money."""
    first = order.batch.items[0].params
    place = order.served_by[first.model]
    draft = draft_receipt(call, principal, first, place, _nothing(order), call.codec.name, tags)
    return replace(draft, usage=Usage(), cost=NO_COST, customer_id=None, streamed=False)


def _nothing(order: Order) -> Estimate:
    """What is held for a batch: its cost is known when its results are there."""
    return Estimate(Usage(), 0, order.sheets[order.batch.items[0].params.model])


def _claims_of(places: Iterable[Deployment], call: Call) -> Iterable[BudgetClaim]:
    """Of all deployments that serve a batch; that of their provider is one."""
    claims = (claim for place in places for claim in deployment_claims(place, 0, call.started_at))
    return {claim.counter: claim for claim in claims}.values()


def _batching(model: Model) -> list[Deployment]:
    return [deployment for deployment in model.deployments if deployment.provider in BATCH_DIVISORS]


def _on_host_of(one: Deployment, model: Model) -> Deployment | None:
    return next((other for other in _batching(model) if _account(other) == _account(one)), None)


def _account(place: Deployment) -> tuple[str, str, str | None]:
    return place.provider, place.api_base, None if place.api_key is None else place.api_key.reveal()


async def _apart(body: bytes, work: Callable[[], T]) -> T:
    """Long bodies are worked on beside the loop: other calls go on meanwhile."""
    return await asyncio.to_thread(work) if len(body) > _LONG_BYTES else work()
