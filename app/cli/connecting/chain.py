"""The chain from a developer's machine to a model, link by link: what works, and the first thing that does not."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from app.cli.connecting.gateway import Gateway, RefusedError, Reply, Unreachable, ask, stream
from app.domain.client_setups import NO_KEY, Speaks

_GREETING = "Hi"
_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_ANTHROPIC = {"anthropic-version": "2023-06-01"}


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a client of one protocol asks: ``body`` of model and stream; ``ends`` is in the last event of a stream."""

    name: str
    path: str
    body: Callable[[str, bool], Any]
    ends: str
    stream_path: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    count_path: str = ""


def _messages(model: str, streamed: bool) -> Any:  # noqa: ANN401, FBT001
    body = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": _GREETING}]}
    return body | {"stream": True} if streamed else body


def _chat(model: str, streamed: bool) -> Any:  # noqa: ANN401, FBT001
    body = {"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": _GREETING}]}
    return body | {"stream": True} if streamed else body


def _responses(model: str, streamed: bool) -> Any:  # noqa: ANN401, FBT001
    return {"model": model, "max_output_tokens": 16, "input": _GREETING, "stream": streamed, "store": False}


def _gemini(_model: str, _streamed: bool) -> Any:  # noqa: ANN401, FBT001
    contents = [{"role": "user", "parts": [{"text": _GREETING}]}]
    return {"contents": contents, "generationConfig": {"maxOutputTokens": 16}}


MESSAGES = Protocol(
    "Anthropic Messages", "/v1/messages?beta=true", _messages, "message_stop",
    headers=tuple(_ANTHROPIC.items()), count_path="/v1/messages/count_tokens?beta=true",
)  # fmt: skip
CHAT = Protocol("OpenAI chat completions", "/v1/chat/completions", _chat, "[DONE]")
RESPONSES = Protocol("OpenAI Responses", "/v1/responses", _responses, '"response.')
GEMINI = Protocol(
    "Gemini", "/v1beta/models/{model}:generateContent", _gemini, '"finishReason"',
    stream_path="/v1beta/models/{model}:streamGenerateContent?alt=sse",
)  # fmt: skip
PROTOCOLS: Mapping[Speaks, Protocol] = {
    "anthropic_messages": MESSAGES, "openai_chat": CHAT, "openai_responses": RESPONSES, "gemini": GEMINI,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain. ``then``: what to do about a broken one."""

    name: str
    works: bool
    said: str
    then: str = ""


class _BrokenError(Exception):
    def __init__(self, said: str, then: str) -> None:
        super().__init__(said)
        self.then = then


def examine(gateway: Gateway, protocol: Protocol, model: str | None) -> Iterator[Link]:
    """The links in their order, up to the first that is broken. Costs a few tokens of ``model``."""
    chosen: list[str] = []
    links: tuple[tuple[str, Callable[[], str]], ...] = (
        ("gateway", lambda: _reach(gateway)),
        ("key", lambda: _key(gateway)),
        ("models", lambda: _models(gateway, model, chosen)),
        ("message", lambda: _message(gateway, protocol, chosen[0])),
        ("stream", lambda: _stream(gateway, protocol, chosen[0])),
        ("count_tokens", lambda: _count(gateway, protocol, chosen[0])),
    )
    for name, look in links:
        if name == "count_tokens" and not protocol.count_path:
            continue
        try:
            yield Link(name, works=True, said=look())
        except _BrokenError as error:
            yield Link(name, works=False, said=str(error), then=error.then)
            return
        except Unreachable as error:
            then = "start it (keyhouse serve), or give its address with --url; a proxy may stand between"
            yield Link(name, works=False, said=str(error), then=then)
            return


def _reach(gateway: Gateway) -> str:
    reply = ask(gateway, "/health/liveliness")
    if reply.status != 200:
        raise _BrokenError(
            f"{gateway.url} answers {reply.status}: {reply.said}",
            "is this the address of the gateway itself, without a path?",
        )
    return gateway.url


def _key(gateway: Gateway) -> str:
    if not gateway.has_key:
        raise _BrokenError("no key was given", "give it with --key or in KEYHOUSE_KEY; an admin issues one")
    reply = ask(gateway, "/key/self")
    if reply.status == 403:
        return f'"…{gateway.key[-4:]}", which may not ask about itself'
    if reply.status != 200:
        raise _BrokenError(reply.said, "ask an admin for a key that works")
    about = _object(reply).get("key", NO_KEY)
    if about == NO_KEY:
        raise _BrokenError(f"what answers at {gateway.url} is no Keyhouse", "check the address")
    if about is None:
        return "the admin key; hand out a virtual key instead: keyhouse keys create"
    name = about["key_alias"] or f"…{gateway.key[-4:]}"
    spent, limit = about["spend"], about["max_budget"]
    return f'"{name}", {spent:f} USD spent' + (f" of {limit:f}" if limit is not None else "")


def _models(gateway: Gateway, model: str | None, chosen: list[str]) -> str:
    reply = ask(gateway, "/v1/models?limit=1000", headers=_ANTHROPIC)
    if reply.status != 200:
        raise _BrokenError(reply.said, "the key must be allowed to list models")
    names = [str(entry["id"]) for entry in _object(reply).get("data", [])]
    if not names:
        raise _BrokenError(
            "this key may use no model", "ask an admin to add models to the key, or a provider to the gateway"
        )
    # A name may also be one that a wildcard or an alias of the key serves: the message link tells.
    chosen.append(model or next((name for name in names if "claude" in name.lower()), names[0]))
    return f"{len(names)} may be used; asking {chosen[0]}"


def _message(gateway: Gateway, protocol: Protocol, model: str) -> str:
    path = protocol.path.format(model=model)
    reply = ask(gateway, path, protocol.body(model, False), dict(protocol.headers))  # noqa: FBT003
    if reply.status != 200:
        raise _BrokenError(f"{protocol.name} answers {reply.status}: {reply.said}", _what_next(reply))
    cost = reply.headers.get("x-keyhouse-response-cost")
    return f"{protocol.name} answers" + (f", {cost} USD" if cost else "")


def _stream(gateway: Gateway, protocol: Protocol, model: str) -> str:
    path = (protocol.stream_path or protocol.path).format(model=model)
    events, last = 0, ""
    try:
        for line in stream(gateway, path, protocol.body(model, True), dict(protocol.headers)):  # noqa: FBT003
            if line.startswith("data:"):
                events, last = events + 1, line
    except RefusedError as error:
        raise _BrokenError(f"the stream is refused: {error}", _what_next(error.reply)) from error
    if protocol.ends not in last:
        raise _BrokenError(
            f"the stream ends after {events} events without its last one",
            "a proxy between may cut or buffer streams: look at its read timeout and buffering",
        )
    return f"{events} events, ended as it should"


def _count(gateway: Gateway, protocol: Protocol, model: str) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": _GREETING}]}
    reply = ask(gateway, protocol.count_path, body, dict(protocol.headers))
    if reply.status != 200:
        raise _BrokenError(f"count_tokens answers {reply.status}: {reply.said}", _what_next(reply))
    return f"{_object(reply).get('input_tokens')} tokens"


def _what_next(reply: Reply) -> str:
    match reply.status:
        case 401:
            return "without our sentence a 401 is the provider's: an admin should run keyhouse doctor"
        case 402 | 429:
            return "the limits of the key: keyhouse keys show, or GET /key/self"
        case 404 | 400 | 403:
            return "choose another model with --model, or ask an admin to allow it"
        case _:
            return "an admin should look at the gateway's log, and run keyhouse doctor"


def _object(reply: Reply) -> dict[str, Any]:
    try:
        return _DECODER.decode(reply.body)
    except msgspec.DecodeError as error:
        raise _BrokenError(
            f"what answers there is no Keyhouse: {reply.body[:80].decode('utf-8', 'replace')!r}",
            "check the address; a sign-in page of a proxy looks like this",
        ) from error
