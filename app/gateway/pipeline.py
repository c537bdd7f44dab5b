"""The story of one request whose caller is known: admit, dispatch, relay, settle."""

import time

from app.base.errors import GatewayError
from app.base.logs import get_logger
from app.base.metrics import Metrics
from app.domain.access import Principal
from app.domain.spend import ReceiptStatus
from app.gateway.admit import Admission
from app.gateway.call import Call, Grant, Reply
from app.gateway.dispatch import dispatch, headers_back
from app.gateway.relay import NOTHING_SEEN, RelayRules, StreamRelay, read_whole
from app.gateway.settle import Settlement
from app.providers.provider import Upstream, UpstreamReply


class Gateway:
    def __init__(
        self,
        admission: Admission,
        upstream: Upstream,
        settlement: Settlement,
        metrics: Metrics,
        rules: RelayRules,
    ) -> None:
        self._admission = admission
        self._settlement = settlement
        self._upstream = upstream
        self._metrics = metrics
        self._rules = rules
        self._log = get_logger()

    async def serve(self, call: Call, principal: Principal) -> Reply:
        """Raises GatewayError for everything refused or failed before the first byte of an answer.

        Cancelling it (the client has left) settles what was spent so far.
        """
        if call.operation == "opaque":
            return await self._forward(call, self._admission.admit_opaque(call, principal))
        grant = await self._admission.admit(call, principal)
        self._metrics.overhead.observe(time.monotonic() - call.started_s)
        if not grant.metered:
            return await self._forward(call, grant)
        self._settlement.watch(grant)
        try:
            outgoing, reply = await dispatch(call, grant, self._upstream)
        except GatewayError:
            self._settlement.release(call)
            raise
        except BaseException:
            # The client left while the provider was at work: the request was sent, so its input is paid.
            await self._settlement.settle(call, grant, NOTHING_SEEN, "hung_up", None)
            raise
        if reply.status >= 300:
            return await self._refused_upstream(call, grant, reply)
        if _is_event_stream(reply):
            scanner = call.codec.stream_scanner(withhold_usage=outgoing.withhold_usage)
            relay = StreamRelay(call, grant, reply, scanner, self._settlement, self._rules)
            return Reply(reply.status, headers_back(call, grant, reply), relay)
        return await self._whole(call, grant, reply)

    async def _whole(self, call: Call, grant: Grant, reply: UpstreamReply) -> Reply:
        first_byte_ms = round((time.monotonic() - call.started_s) * 1000)
        report = NOTHING_SEEN
        status: ReceiptStatus = "hung_up"
        try:
            body = await read_whole(reply, grant.deployment)
            report, status = call.codec.scan_response(body), "ok"
        except GatewayError:
            status = "error"
            raise
        finally:
            reply.close()
            await self._settlement.settle(call, grant, report, status, first_byte_ms)
        return Reply(reply.status, headers_back(call, grant, reply), body)

    async def _refused_upstream(self, call: Call, grant: Grant, reply: UpstreamReply) -> Reply:
        """The provider's own error, unchanged: clients act on its wording."""
        try:
            body = await read_whole(reply, grant.deployment)
        finally:
            reply.close()
            self._settlement.release(call)
            self._note(call, grant, reply)
        return Reply(reply.status, headers_back(call, grant, reply), body)

    async def _forward(self, call: Call, grant: Grant) -> Reply:
        """A call that costs nothing: forwarded, and nothing is booked."""
        _, reply = await dispatch(call, grant, self._upstream)
        self._note(call, grant, reply)
        if _is_event_stream(reply):
            scanner = call.codec.stream_scanner(withhold_usage=False)
            relay = StreamRelay(call, grant, reply, scanner, self._settlement, self._rules)
            return Reply(reply.status, headers_back(call, grant, reply), relay)
        try:
            body = await read_whole(reply, grant.deployment)
        finally:
            reply.close()
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


def _is_event_stream(reply: UpstreamReply) -> bool:
    return any(
        name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream")
        for name, value in reply.headers
    )
