"""The story of one request whose caller is known: admit, dispatch, relay, settle."""

import time
from collections.abc import Callable, Mapping

from msgspec import structs

from app.base.errors import BudgetExhausted, GatewayError, UpstreamError
from app.base.logs import get_logger
from app.base.metrics import Metrics
from app.base.money import format_usd
from app.domain.access import Principal
from app.domain.catalog import Deployment
from app.domain.spend import ReceiptStatus
from app.gateway.admit import Admission
from app.gateway.attempts import Failed, begin_stream, failed_by, most_telling, refused_by
from app.gateway.call import Call, Exchange, Grant, Operation, Reply, Service
from app.gateway.dispatch import dispatch, headers_back
from app.gateway.estimate import input_tokens
from app.gateway.exchange import is_stream
from app.gateway.file_owners import FileOwners
from app.gateway.idempotency import Idempotency, find_key
from app.gateway.relay import NOTHING_SEEN, RelayRules, StreamRelay, read_whole
from app.gateway.response_cache import Asked, ResponseCache
from app.gateway.route import Route
from app.gateway.settle import Settlement
from app.protocols.codec import Header
from app.providers.provider import Upstream, UpstreamReply

# In dollars, on whole answers: a stream's head is gone when its cost is known.
_COST = b"x-keyhouse-response-cost"
_LITELLM_COST = b"x-litellm-response-cost"
# Where there was anything to choose: who answered, and after how many attempts.
_DEPLOYMENT = b"x-keyhouse-deployment"
_LITELLM_DEPLOYMENT = b"x-litellm-model-id"
_ATTEMPTS = b"x-keyhouse-attempts"
_LEAST_KEY_BYTES = 12  # what is shorter may be a word, as servers of one's own need no key


class Gateway:
    def __init__(
        self,
        admission: Admission,
        upstream: Upstream,
        settlement: Settlement,
        metrics: Metrics,
        rules: RelayRules,
        services: Mapping[Operation, Service] | None = None,
    ) -> None:
        self._admission = admission
        self._router = admission.router
        self._settlement = settlement
        self._upstream = upstream
        self._metrics = metrics
        self._rules = rules
        self._services = services or {}
        self.on_refusal: Callable[[Deployment, int, bytes], None] | None = None
        """Told of each refusal of a provider, with its status and body; it returns at once."""
        self.cache: ResponseCache | None = None
        self.idempotency: Idempotency | None = None
        self.file_owners: FileOwners | None = None
        self._log = get_logger()

    async def serve(self, call: Call, principal: Principal) -> Reply:
        """Raises GatewayError for everything refused or failed before the first byte of an answer.

        Cancelling it (the client has left) settles what was spent so far.
        """
        if self.idempotency is not None and (key := find_key(call)) is not None:
            return await self.idempotency.serve(call, principal, key, self.serve)
        if self.file_owners is not None:
            await self.file_owners.check(call, principal)
        service = self._services.get(call.operation)
        if service is not None:
            return await service.serve(call, principal)
        if call.operation == "opaque":
            return await self._forward(call, self._admission.admit_opaque(call, principal))
        return await self._answer(call, principal)

    async def _answer(self, call: Call, principal: Principal) -> Reply:
        """A call that names a model."""
        asked = None
        if self.cache is not None:
            call, asked = self.cache.ask(call, principal)
        try:
            grant = await self._admission.admit(call, principal)
        except BudgetExhausted as refused:
            return await self._stored(call, principal, asked, refused)
        self._settlement.observations.add_overhead(time.monotonic() - call.started_s)
        exchange = grant.exchange
        if exchange is None:
            return _counted_here(call)
        if not grant.metered:
            if grant.route is not None:
                return await self._count(call, grant, grant.route)
            return await self._forward(call, grant)
        if self.cache is None or asked is None:
            return await self._send_out(call, grant, exchange)
        found = await self.cache.find(asked, grant)
        if isinstance(found, Reply):
            return found
        try:
            reply = await self._send_out(call, grant, exchange)
        except BaseException:
            if found is not None:
                self.cache.give_up(found)
            raise
        return reply if found is None else self.cache.keep(found, reply)

    async def _stored(self, call: Call, principal: Principal, asked: Asked | None, refused: BudgetExhausted) -> Reply:
        """An answer that is given again costs nothing, so a spent budget keeps none back. Raises ``refused``."""
        if self.cache is None or asked is None:
            raise refused
        grant = await self._admission.admit(call, principal, unpaid=True)
        found = await self.cache.find(asked, grant) if grant.metered else None
        if isinstance(found, Reply):
            return found
        if found is not None:
            self.cache.give_up(found)
        self._settlement.release(call)
        raise refused

    async def _send_out(self, call: Call, grant: Grant, exchange: Exchange) -> Reply:
        if grant.route is not None:
            return await self._attempts(call, grant, grant.route)
        return await self._once(call, grant, exchange)

    async def _once(self, call: Call, grant: Grant, exchange: Exchange) -> Reply:
        """Nothing else could be tried."""
        self._go_out(call, grant, exchange)
        try:
            reply = await dispatch(call, grant, self._upstream)
        except GatewayError as error:
            self._settlement.release(call)
            if isinstance(error, UpstreamError):
                self._router.standings.failed_alone(grant.deployment, failed_by(grant, error).failure)
            raise
        except BaseException:
            # The client left while the provider was at work: the request was sent, so its input is paid.
            await self._settlement.settle(call, grant, NOTHING_SEEN, "hung_up", None)
            raise
        if reply.status >= 300:
            return await self._refused_upstream(call, grant, reply)
        self._router.standings.answered_alone(grant.deployment)
        if is_stream(reply) and _wants_stream(grant):
            return self._stream(call, grant, exchange, reply)
        return await self._whole(call, grant, exchange, reply)

    async def _attempts(self, call: Call, grant: Grant, route: Route) -> Reply:
        """One attempt after another, until one is answered, the caller is to mend something, or nothing is left."""
        failures: list[Failed] = []
        while True:
            outcome = await self._attempt(call, grant, route)
            if isinstance(outcome, Reply):
                return structs.replace(outcome, headers=[*outcome.headers, *_served_by(grant, route)])
            failures.append(outcome)
            self._router.failed(route, outcome.failure)
            try:
                following = await self._admission.next(call, route, outcome.failure)
            except BaseException:
                # The client left between two attempts, or a store did not answer: nothing is under way.
                self._settlement.release(call)
                raise
            if following is None:
                break
            grant = following
        if not failures[-1].settled:
            self._settlement.release(call)
        told = most_telling(failures)
        if told.error is None:
            assert told.reply is not None
            self._note(call, told.grant, told.reply)
        try:
            reply = _told(call, told)
        except GatewayError as error:
            error.headers += _served_by(told.grant, route)
            raise
        return structs.replace(reply, headers=[*reply.headers, *_served_by(told.grant, route)])

    async def _attempt(self, call: Call, grant: Grant, route: Route) -> Reply | Failed:
        """Nothing of it reaches the client but the answer. Raises GatewayError for what no other attempt can mend."""
        exchange = grant.exchange
        assert exchange is not None
        self._router.began(route)
        self._go_out(call, grant, exchange)
        try:
            reply = await dispatch(call, grant, self._upstream)
        except UpstreamError as error:
            return failed_by(grant, error)
        except GatewayError:
            self._router.left(route)
            self._settlement.release(call)
            raise
        except BaseException:
            await self._settlement.settle(call, grant, NOTHING_SEEN, "hung_up", None)
            raise
        if reply.status >= 300:
            return await self._refused_attempt(call, grant, route, reply)
        self._router.head_came(route)
        if is_stream(reply) and _wants_stream(grant):
            begun = await self._begin_stream(call, grant, reply)
            if isinstance(begun, Failed):
                return begun
            self._router.stream_began(route)
            return self._stream(call, grant, exchange, begun)
        try:
            answer = await self._whole(call, grant, exchange, reply)
        except UpstreamError as error:
            return failed_by(grant, error, settled=True)
        self._router.answered(route)
        return answer

    async def _begin_stream(self, call: Call, grant: Grant, reply: UpstreamReply) -> UpstreamReply | Failed:
        try:
            begun = await begin_stream(call, grant, reply, self._rules.ping_after_s)
        except UpstreamError as error:
            reply.close()
            await self._settlement.settle(call, grant, NOTHING_SEEN, "error", None)
            return failed_by(grant, error, settled=True)
        except BaseException:
            reply.close()
            await self._settlement.settle(call, grant, NOTHING_SEEN, "hung_up", None)
            raise
        if isinstance(begun, Failed):
            reply.close()
        return begun

    async def _refused_attempt(self, call: Call, grant: Grant, route: Route, reply: UpstreamReply) -> Failed:
        try:
            body = await read_whole(reply, grant.deployment)
        except UpstreamError as error:
            return failed_by(grant, error)
        except BaseException:
            self._router.left(route)
            self._settlement.release(call)
            raise
        finally:
            reply.close()
        if self.on_refusal is not None:
            self.on_refusal(grant.deployment, reply.status, body)
        return refused_by(grant, reply, body)

    def _go_out(self, call: Call, grant: Grant, exchange: Exchange) -> None:
        for loss in exchange.losses:
            self._metrics.note_loss(call.codec.name, exchange.protocol_out, loss.field, loss.severity)
        self._settlement.watch(grant)

    def _stream(self, call: Call, grant: Grant, exchange: Exchange, reply: UpstreamReply) -> Reply:
        relay = StreamRelay(call, grant, reply, exchange.stream_scanner(), self._settlement, self._rules)
        return Reply(reply.status, headers_back(call, grant, reply, exchange.stream_type), relay)

    async def _whole(self, call: Call, grant: Grant, exchange: Exchange, reply: UpstreamReply) -> Reply:
        first_byte_ms = round((time.monotonic() - call.started_s) * 1000)
        report = NOTHING_SEEN
        status: ReceiptStatus = "hung_up"
        try:
            whole = exchange.read_whole(await read_whole(reply, grant.deployment))
            report, status = whole.report, "ok"
        except GatewayError:
            status = "error"
            raise
        finally:
            reply.close()
            receipt = await self._settlement.settle(call, grant, report, status, first_byte_ms)
        cost = format_usd(receipt.cost.total).encode()
        headers = [*headers_back(call, grant, reply, whole.content_type), (_COST, cost), (_LITELLM_COST, cost)]
        return Reply(reply.status, headers, whole.body, receipt)

    async def _refused_upstream(self, call: Call, grant: Grant, reply: UpstreamReply) -> Reply:
        """The provider's own error: unchanged where the client speaks its protocol, as clients act on its wording."""
        try:
            body = await read_whole(reply, grant.deployment)
        finally:
            reply.close()
            self._settlement.release(call)
            self._note(call, grant, reply)
        if grant.principal.own_login:
            return _refusal(call, grant, reply, body)
        if self.on_refusal is not None:
            self.on_refusal(grant.deployment, reply.status, body)
        self._router.standings.failed_alone(grant.deployment, refused_by(grant, reply, body).failure)
        return _refusal(call, grant, reply, body)

    async def _count(self, call: Call, grant: Grant, route: Route) -> Reply:
        """Tokens are counted by any deployment of the model; nothing is held or booked for it."""
        failures: list[Failed] = []
        while grant.exchange is not None:
            self._router.began(route)
            outcome = await self._counted(call, grant, route)
            if isinstance(outcome, Reply):
                return structs.replace(outcome, headers=[*outcome.headers, *_served_by(grant, route)])
            failures.append(outcome)
            self._router.failed(route, outcome.failure)
            following = await self._admission.next(call, route, outcome.failure)
            if following is None:
                return _told(call, most_telling(failures))
            grant = following
        return _counted_here(call)

    async def _counted(self, call: Call, grant: Grant, route: Route) -> Reply | Failed:
        try:
            reply = await dispatch(call, grant, self._upstream)
            self._router.head_came(route)
            body = await self._read(reply, grant)
        except UpstreamError as error:
            return failed_by(grant, error)
        finally:
            self._router.left(route)
        if reply.status >= 300:
            return refused_by(grant, reply, body)
        self._note(call, grant, reply)
        self._router.answered(route)
        return Reply(reply.status, headers_back(call, grant, reply), body)

    async def _read(self, reply: UpstreamReply, grant: Grant) -> bytes:
        try:
            return await read_whole(reply, grant.deployment)
        finally:
            reply.close()

    async def _forward(self, call: Call, grant: Grant) -> Reply:
        """A call that costs nothing: forwarded, and nothing is booked."""
        reply = await dispatch(call, grant, self._upstream)
        self._note(call, grant, reply)
        assert grant.exchange is not None
        if is_stream(reply):
            scanner = grant.exchange.stream_scanner()
            relay = StreamRelay(call, grant, reply, scanner, self._settlement, self._rules)
            return Reply(reply.status, headers_back(call, grant, reply), relay)
        try:
            body = await read_whole(reply, grant.deployment)
        finally:
            reply.close()
        if reply.status >= 300 and call.operation != "opaque":
            return _refusal(call, grant, reply, body)
        return Reply(reply.status, headers_back(call, grant, reply), body)

    def _note(self, call: Call, grant: Grant, reply: UpstreamReply) -> None:
        """What was answered without a receipt: refused by the provider, or free."""
        deployment = grant.deployment
        outcome = "free" if reply.status < 400 else str(reply.status)
        self._metrics.child(self._metrics.requests, deployment.upstream_model, deployment.provider, outcome).inc()
        self._log.info(
            "forwarded",
            request_id=call.request_id,
            route=call.route,
            key_id=grant.principal.key.key_id,
            provider=deployment.provider,
            status=reply.status,
        )


def _told(call: Call, failed: Failed) -> Reply:
    """What the caller is told of a failed attempt: the host's own words where they can be passed on."""
    if failed.error is not None:
        raise failed.error
    assert failed.reply is not None
    return _refusal(call, failed.grant, failed.reply, failed.body)


def _served_by(grant: Grant, route: Route) -> list[Header]:
    deployment_id = grant.deployment.deployment_id.encode("ascii", "replace")
    return [(_DEPLOYMENT, deployment_id), (_LITELLM_DEPLOYMENT, deployment_id), (_ATTEMPTS, b"%d" % route.attempt)]


def _refusal(call: Call, grant: Grant, reply: UpstreamReply, body: bytes) -> Reply:
    assert grant.exchange is not None
    error = grant.exchange.read_refusal(reply, body)
    if error is not None:
        raise error
    return Reply(reply.status, headers_back(call, grant, reply), _without_key(body, grant.deployment))


def _without_key(body: bytes, deployment: Deployment) -> bytes:
    """Some hosts repeat the key that they refuse, and it is not the caller's."""
    key = b"" if deployment.api_key is None else deployment.api_key.reveal().encode()
    return body.replace(key, "…".encode()) if len(key) >= _LEAST_KEY_BYTES else body


def _wants_stream(grant: Grant) -> bool:
    """A translated call whose client wants a whole answer gets one, though the host streams."""
    assert grant.exchange is not None
    return grant.exchange.stream_type is None or (grant.envelope is not None and grant.envelope.stream)


def _counted_here(call: Call) -> Reply:
    """The host cannot count: an estimate by the size of the text, which costs nothing."""
    headers = [(b"content-type", b"application/json"), (b"request-id", call.request_id.encode())]
    return Reply(200, headers, call.codec.render_count(input_tokens(call.body)))
