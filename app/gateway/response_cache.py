"""The response cache: who wants it, which request is the same as one before, and the answer given again."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from msgspec import structs

from app.base import clock
from app.base.errors import InvalidRequest, StorageUnavailable
from app.base.metrics import Metrics
from app.base.money import format_usd
from app.domain.access import Principal
from app.domain.caching import CALL_TYPES, CacheMode, CacheWish, StoredAnswer, digest_of, parse_wish, parse_wish_header
from app.domain.spend import Receipt
from app.domain.tenancy import scope_of
from app.gateway.call import Call, Grant, Reply
from app.gateway.dispatch import NOT_FORWARDED, own_headers
from app.gateway.ports import StoredAnswers
from app.gateway.relay import StreamRelay
from app.gateway.settle import Settlement
from app.protocols.codec import Header
from app.protocols.envelope import read_fields, read_loosely, splice

HEADER = b"x-keyhouse-cache"
_FIELD = "cache"
_METADATA = "cache"
_QUOTED_FIELD = b'"cache"'
# What may act, or look something up that is another tomorrow.
_TOOLS = (
    "tools", "functions", "mcp_servers", "web_search_options", "search_parameters", "plugins", "data_sources",
)  # fmt: skip
# What the answer depends on is not in the request, or it is no answer yet.
_STATES = ("previous_response_id", "conversation", "background", "container")
_NOTHING = frozenset({b"[]", b"null", b"false", b'""'})
_WHO = frozenset({"user", "metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"})
# Who asks, and for whose books: no part of the answer. (Of Responses they are: it repeats them.)
_LEFT_OUT: Mapping[str, frozenset[str]] = {
    "anthropic_messages": frozenset({"stream", "metadata"}),
    "openai_chat": _WHO | {"stream"},
    "openai_completions": _WHO | {"stream"},
}
_STREAM_ALONE = frozenset({"stream"})
_CACHED = frozenset({"generate", "embeddings"})
_COUNTED = frozenset({"provider", "demo"})
# Statuses of Responses, which come with a 200.
_UNFINISHED = frozenset({"failed", "cancelled", "in_progress", "queued"})
Served = tuple[str, str]
"""Provider and its model."""


@dataclass(frozen=True, slots=True)
class CacheRules:
    """``ttl_s`` where nobody names one; ``call_types`` by LiteLLM's names, none is all of them."""

    mode: CacheMode = "opt_in"
    ttl_s: int = 600
    most_answer_bytes: int = 1024 * 1024
    call_types: frozenset[str] = frozenset()


_LONGEST_WAIT_S = 60
_MOST_WAITS = 2  # for one that fails, and for the one that is made in its place


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that wants the cache; ``call`` is without the words that are meant for us."""

    call: Call
    wish: CacheWish


@dataclass(frozen=True, slots=True)
class Miss:
    """Nothing was found: where the answer is to be kept, and of which model it must be. ``first``: the same requests
    that come meanwhile wait for this one."""

    digest: bytes
    ttl_s: int
    model: Served
    first: bool = False


class ResponseCache:
    def __init__(self, answers: StoredAnswers, settlement: Settlement, metrics: Metrics, rules: CacheRules) -> None:
        self._answers = answers
        self._settlement = settlement
        self._metrics = metrics
        self._rules = rules
        self._base = CacheWish(use=rules.mode == "on")
        self._keeping: set[asyncio.Task[None]] = set()
        self._under_way: dict[bytes, asyncio.Event] = {}
        """Whole answers that are asked for and will be kept, by their digests: set when they are, or will not be."""

    def ask(self, call: Call, principal: Principal) -> tuple[Call, Asked | None]:
        """The call without the words that are meant for us, and whether it wants the cache.

        Raises InvalidRequest for words that make no sense.
        """
        call, said = _without_field(call)
        if call.operation not in _CACHED or not self._is_of_type(call):
            return call, None
        wish = self._base
        metadata = (None if principal.team is None else principal.team.metadata, principal.key.metadata)
        for level in metadata:
            if level is not None and (value := level.get(_METADATA)) is not None:
                if value is False:
                    return call, None  # a level that forbids it is not overridden
                wish = wish.overridden(_of_level(value))
        for nearer in (said, _of_header(call)):
            wish = wish if nearer is None else wish.overridden(nearer)
        return call, Asked(call, wish) if wish.use else None

    async def find(self, asked: Asked, grant: Grant) -> Reply | Miss | None:
        """The stored answer, settled at nothing; Miss where it may be kept; None where the call takes no part.

        A store that does not answer is a miss.
        """
        call, wish = asked.call, asked.wish
        if not _may_be_cached(grant, tools=bool(wish.tools)):
            return None
        digest = digest_of(_parts(call, grant, wish.namespace or ""))
        answer = None if wish.no_cache else await self._look_up(call, digest)
        for _ in range(0 if wish.no_cache else _MOST_WAITS):
            if answer is not None or (first := self._under_way.get(digest)) is None:
                break
            answer = await self._wait_for(first, call, digest)
        if answer is not None:
            age_s = max(0, int(clock.now().timestamp()) - answer.stored_at_unix)
            if wish.most_age_s is None or age_s <= wish.most_age_s:
                return await self._replay(call, grant, answer, age_s)
        self._count("miss")
        if wish.no_store:
            return None
        assert grant.envelope is not None
        # Whoever waits for a stream would hear nothing until its end.
        is_first = not grant.envelope.stream and digest not in self._under_way
        if is_first:
            self._under_way[digest] = asyncio.Event()
        return Miss(digest, wish.ttl_s or self._rules.ttl_s, _served(grant), is_first)

    def keep(self, miss: Miss, reply: Reply) -> Reply:
        """The same reply, said to be a miss, and kept when it turns out to be whole."""
        headers = [*reply.headers, (HEADER, b"miss")]
        content_type = _content_type(reply.headers)
        if reply.status == 200 and content_type is not None:
            if isinstance(reply.body, bytes):
                self.keep_body(miss, content_type, reply.body, reply.receipt)
                return structs.replace(reply, headers=headers)
            if isinstance(reply.body, StreamRelay):
                body = RecordedStream(self, miss, content_type, reply.body, self._rules.most_answer_bytes)
                return Reply(reply.status, headers, body)
        self.give_up(miss)
        return structs.replace(reply, headers=headers)

    def give_up(self, miss: Miss) -> None:
        """Nothing will be kept, or it is: whoever waits for it need not any more."""
        if miss.first and (waited_for := self._under_way.pop(miss.digest, None)) is not None:
            waited_for.set()

    def keep_body(self, miss: Miss, content_type: bytes, body: bytes, receipt: Receipt | None) -> None:
        """Keep what the client got, if it is whole and not too large; in the background."""
        if receipt is None or len(body) > self._rules.most_answer_bytes or not _is_whole(receipt, miss.model):
            self.give_up(miss)
            return
        answer = StoredAnswer(
            body=body,
            content_type=content_type,
            stored_at_unix=int(clock.now().timestamp()),
            cost_nanousd=receipt.cost.total,
            finish_reason=receipt.finish_reason,
        )
        task = asyncio.create_task(self._store(miss, answer))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    async def _look_up(self, call: Call, digest: bytes) -> StoredAnswer | None:
        try:
            return await self._answers.find(digest)
        except StorageUnavailable:
            return None
        except BaseException:
            self._settlement.release(call)  # the client has left
            raise

    async def _wait_for(self, first: asyncio.Event, call: Call, digest: bytes) -> StoredAnswer | None:
        """The answer that another call is being given now, if it comes to be kept."""
        try:
            async with asyncio.timeout(_LONGEST_WAIT_S):
                await first.wait()
        except TimeoutError:
            return None
        except BaseException:
            self._settlement.release(call)  # the client has left
            raise
        return await self._look_up(call, digest)

    async def _replay(self, call: Call, grant: Grant, answer: StoredAnswer, age_s: int) -> Reply:
        self._count("hit")
        self._metrics.cache_saved.inc(answer.cost_nanousd)
        receipt = await self._settlement.settle_stored(call, grant, answer)
        cost = format_usd(receipt.cost.total).encode()
        headers: list[Header] = [
            (b"content-type", answer.content_type),
            *own_headers(call, grant),
            (HEADER, b"hit"),
            (b"age", str(age_s).encode()),
            (b"x-keyhouse-response-cost", cost),
            (b"x-litellm-response-cost", cost),
        ]
        return Reply(200, headers, answer.body, receipt)

    async def _store(self, miss: Miss, answer: StoredAnswer) -> None:
        try:
            await self._answers.keep(miss.digest, answer, miss.ttl_s)
        except StorageUnavailable:
            return
        finally:
            self.give_up(miss)
        self._count("kept")

    def _is_of_type(self, call: Call) -> bool:
        types = self._rules.call_types
        kind = "embeddings" if call.operation == "embeddings" else call.codec.name
        return kind in CALL_TYPES and (not types or not types.isdisjoint(CALL_TYPES[kind]))

    def _count(self, outcome: str) -> None:
        self._metrics.child(self._metrics.cache, outcome).inc()


class RecordedStream:
    """A StreamBody that keeps what passes, until it is more than may be kept."""

    def __init__(
        self, cache: ResponseCache, miss: Miss, content_type: bytes, relay: StreamRelay, most_bytes: int
    ) -> None:
        self._cache = cache
        self._miss = miss
        self._content_type = content_type
        self._relay = relay
        self._most_bytes = most_bytes
        self._is_kept = False
        self._chunks = self._run()

    @property
    def receipt(self) -> Receipt | None:
        return self._relay.receipt

    def chunks(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def close(self) -> None:
        if not self._is_kept:
            self._cache.give_up(self._miss)
        await self._chunks.aclose()
        await self._relay.close()

    async def _run(self) -> AsyncGenerator[bytes, None]:
        parts: list[bytes] | None = []
        recorded_bytes = 0
        async for chunk in self._relay.chunks():
            recorded_bytes += len(chunk)
            if recorded_bytes > self._most_bytes:
                parts = None
            elif parts is not None:
                parts.append(chunk)
            yield chunk
        if parts is not None:
            self._is_kept = True
            self._cache.keep_body(self._miss, self._content_type, b"".join(parts), self._relay.receipt)


def _without_field(call: Call) -> tuple[Call, CacheWish | None]:
    """LiteLLM's ``cache`` in the body, read and taken out: no provider knows it. Raises InvalidRequest."""
    if call.operation not in _CACHED or _QUOTED_FIELD not in call.body:
        return call, None
    fields = read_fields(call.body)
    value = read_loosely(fields, _FIELD)
    if _FIELD not in fields:
        return call, None
    call = structs.replace(call, body=splice(call.body, fields, {_FIELD: None}))
    if value is None:
        return call, None
    try:
        return call, parse_wish(value)
    except ValueError as error:
        raise InvalidRequest(f'"{_FIELD}" cannot be read: {error}', param=_FIELD) from error


def _of_header(call: Call) -> CacheWish | None:
    value = dict(call.headers).get(HEADER)
    if value is None:
        return None
    try:
        return parse_wish_header(value.decode("latin-1").strip())
    except ValueError as error:
        raise InvalidRequest(f"the header {HEADER.decode()} cannot be read: {error}") from error


def _of_level(value: object) -> CacheWish:
    try:
        return parse_wish(value)
    except ValueError:
        return CacheWish()  # written past the admin's routes, which refuse it


def _may_be_cached(grant: Grant, *, tools: bool) -> bool:
    """Only where the answer follows from the request alone, and is nobody's own: no personal credential made it."""
    envelope = grant.envelope
    if envelope is None or grant.deployment.owner_user_id is not None or grant.principal.own_login:
        return False
    unwanted = _STATES if tools else _STATES + _TOOLS
    return all(bytes(raw) in _NOTHING for name in unwanted if (raw := envelope.fields.get(name)) is not None)


def _parts(call: Call, grant: Grant, namespace: str) -> Iterator[bytes | memoryview]:
    """Everything that an answer depends on, in an order of its own: that of the body's top level is no matter.

    The lists end with their length, so that no part of one can pass for a part of another.
    """
    envelope, deployment, path = grant.envelope, grant.deployment, call.path_facts
    assert envelope is not None
    assert grant.exchange is not None
    model = "" if grant.model is None else grant.model.name
    names = (
        "1", _tenant(grant.principal), namespace, call.operation, call.codec.name, grant.exchange.protocol_out, model,
        deployment.provider, deployment.upstream_model, envelope.model, "" if path is None else path.model,
        call.upstream_path or "", "native" if call.native_only else "", "stream" if envelope.stream else "",
    )  # fmt: skip
    yield from (name.encode() for name in names)
    yield call.query
    headers = sorted(header for header in call.headers if _matters(header[0], call.codec.header_prefixes))
    for header in headers:
        yield from header
    yield str(len(headers)).encode()
    left_out = _LEFT_OUT.get(call.codec.name, _STREAM_ALONE) if call.operation == "generate" else _WHO
    for field in sorted(envelope.fields):
        if field not in left_out:
            yield field.encode("utf-8", "surrogatepass")
            yield memoryview(envelope.fields[field])


def _matters(name: bytes, prefixes: tuple[bytes, ...]) -> bool:
    return name.startswith(prefixes) and name not in NOT_FORWARDED


def _tenant(principal: Principal) -> str:
    """Within which answers are shared: the team, or the key alone where it has none."""
    key = principal.key
    return key.key_id if key.team_id is None else scope_of("team", key.team_id)


def _is_whole(receipt: Receipt, model: Served) -> bool:
    """Whether the provider itself has finished it, and counted it; an answer of another model is not ours to keep."""
    return (
        receipt.status == "ok"
        and receipt.usage_source in _COUNTED
        and receipt.finish_reason not in _UNFINISHED
        and (receipt.provider, receipt.model_served) == model
    )


def _served(grant: Grant) -> Served:
    return grant.deployment.provider, grant.deployment.upstream_model


def _content_type(headers: Sequence[Header]) -> bytes | None:
    """None for an answer whose bytes are in a coding of their own, too."""
    by_name = dict(headers)
    return None if b"content-encoding" in by_name else by_name.get(b"content-type")
