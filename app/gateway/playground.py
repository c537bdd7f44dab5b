"""A call of the playground: what a person typed as a request of our own, through the same gate and pipeline as any."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import msgspec

from app.base import clock
from app.base.errors import UpstreamRejected
from app.base.ids import new_id
from app.base.metrics import Metrics
from app.domain.access import Principal
from app.gateway.authenticate import check_key
from app.gateway.call import Call, Reply
from app.gateway.last_refusals import message_of
from app.gateway.overload import Gate
from app.gateway.pipeline import Gateway
from app.protocols.codec import Codec

_HEADERS = (
    (b"content-type", b"application/json"),
    (b"anthropic-version", b"2023-06-01"),
    (b"user-agent", b"keyhouse-playground"),
)


@dataclass(frozen=True, slots=True)
class Turn:
    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """``temperature`` None is the model's own."""

    model: str
    turns: Sequence[Turn]
    max_tokens: int
    system: str = ""
    temperature: Decimal | None = None


class _Block(msgspec.Struct):
    type: str
    text: str = ""


class _Answer(msgspec.Struct):
    content: list[_Block] = []


class Playground:
    """``codec`` is that of Messages, which every host is reached by."""

    def __init__(self, gateway: Gateway, gate: Gate, codec: Codec, metrics: Metrics) -> None:
        self._gateway = gateway
        self._gate = gate
        self._codec = codec
        self._metrics = metrics

    @asynccontextmanager
    async def answer(self, asked: Asked, principal: Principal, route: str, *, stream: bool) -> AsyncIterator[Reply]:
        """The place at the gate is kept until the answer was sent on. Raises as Gateway, and for a key that may not
        call; a provider's refusal is raised too."""
        call = self._call(asked, route, stream=stream)
        check_key(principal, route, call.started_at)
        counted = None if self._gate.enter_calm() else await self._gate.enter(principal)
        self._metrics.running.inc()
        try:
            reply = await self._gateway.serve(call, principal)
            if reply.status >= 400:
                raise _refused(reply)
            yield reply
        finally:
            self._gate.leave(counted)
            self._metrics.running.dec()

    def _call(self, asked: Asked, route: str, *, stream: bool) -> Call:
        body: dict[str, Any] = {"model": asked.model, "max_tokens": asked.max_tokens, "stream": stream}
        if asked.system:
            body["system"] = asked.system
        if asked.temperature is not None:
            body["temperature"] = asked.temperature
        body["messages"] = [{"role": turn.role, "content": turn.text} for turn in asked.turns]
        return Call(
            request_id=new_id("req"),
            codec=self._codec,
            operation="generate",
            method="POST",
            route=route,
            upstream_path=None,
            query=b"",
            headers=_HEADERS,
            body=msgspec.json.Encoder(decimal_format="number").encode(body),
            started_at=clock.now(),
            started_s=time.monotonic(),
        )


def text_of(reply: Reply) -> str:
    """What a whole answer says."""
    assert isinstance(reply.body, bytes)
    return "".join(block.text for block in msgspec.json.decode(reply.body, type=_Answer).content)


def request_id_of(reply: Reply) -> str:
    return next((value.decode() for name, value in reply.headers if name == b"request-id"), "")


def _refused(reply: Reply) -> UpstreamRejected:
    said = message_of(reply.body) if isinstance(reply.body, bytes) else ""
    message = f"the provider answered {reply.status}" + (f": {said}" if said else "")
    # Of our credential, not of whoever is signed in here.
    status = 502 if reply.status in (401, 403) else reply.status
    return UpstreamRejected(message, provider="", status=status)
