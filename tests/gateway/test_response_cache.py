"""The response cache with fakes at its ports: what is the same request, who shares an answer, what is never kept."""

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from app.base.errors import BudgetExhausted, InvalidRequest, StorageUnavailable, UpstreamBroken
from app.base.ids import KeyId, TeamId
from app.domain.access import Principal
from app.domain.caching import StoredAnswer, digest_of
from app.domain.spend import BudgetStanding, Refused
from app.domain.teams import Team
from app.gateway.call import Grant, Reply, StreamCut
from app.gateway.exchange import Exchanges
from app.gateway.response_cache import CacheRules, ResponseCache, _parts
from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.codec import Header
from app.protocols.openai_chat.codec import OpenAIChat
from app.settings import load_settings
from tests.fakes.ports import ScriptedReply
from tests.gateway.examples import KEY
from tests.gateway.test_pipeline import (
    BUDGETED,
    CATALOG,
    DELTA,
    JSON,
    START,
    STOP,
    TEXT,
    WHOLE,
    House,
    call,
    read,
    stream,
)

RED = Team(TeamId("red"), "red")
TOOLS = [{"name": "run", "input_schema": {"type": "object"}}]
USE: list[Header] = [(b"x-keyhouse-cache", b"use-cache")]


@dataclass
class Answers:
    by_digest: dict[bytes, StoredAnswer] = field(default_factory=dict)
    ttls_s: list[int] = field(default_factory=list)
    down: bool = False

    async def find(self, digest: bytes) -> StoredAnswer | None:
        if self.down:
            raise StorageUnavailable("Redis does not answer")
        return self.by_digest.get(digest)

    async def keep(self, digest: bytes, answer: StoredAnswer, ttl_s: int) -> None:
        self.by_digest[digest] = answer
        self.ttls_s.append(ttl_s)


class CachingHouse(House):
    def __init__(self, *replies: ScriptedReply, rules: CacheRules | None = None) -> None:
        super().__init__(list(replies))
        self.answers = Answers()
        metrics = self.gateway._metrics
        self.gateway.cache = ResponseCache(
            self.answers, self.settlement, metrics, rules or CacheRules(mode="on", most_answer_bytes=10_000)
        )

    async def ask(self, principal: Principal | None = None, **fields: Any) -> tuple[bytes, dict[bytes, bytes]]:
        reply: Reply = await self.gateway.serve(call(**fields), principal or Principal(KEY))
        body = reply.body if isinstance(reply.body, bytes) else await read(reply)
        await asyncio.sleep(0)
        return body, dict(reply.headers)


def broken_off() -> ScriptedReply:
    return ScriptedReply(200, JSON, [b"{", UpstreamBroken("cut", provider="anthropic")])


def whole() -> ScriptedReply:
    return ScriptedReply(200, JSON, [WHOLE])


async def test_the_second_time_the_answer_is_the_stored_one_and_costs_nothing() -> None:
    house = CachingHouse(whole())
    first, head = await house.ask()
    again, told = await house.ask(metadata={"user_id": "another"}, stream=False)

    assert (head[b"x-keyhouse-cache"], told[b"x-keyhouse-cache"], told[b"age"]) == (b"miss", b"hit", b"0")
    assert (again, told[b"content-type"]) == (first, head[b"content-type"])
    paid, free = house.ledger.settled
    assert (free.cost.total, free.saved_nanousd, free.usage_source, free.usage.total_tokens) == (
        0, paid.cost.total, "cache", 0,
    )  # fmt: skip
    assert len(house.upstream.requests) == 1


async def test_a_spent_budget_keeps_no_stored_answer_back_but_everything_that_costs() -> None:
    house = CachingHouse(whole(), whole())
    first, _ = await house.ask(Principal(BUDGETED))
    spent = Refused("budget", 60, budget=BudgetStanding(house.ledger.claims[0].budgets[0], 10**9, 0))
    house.ledger.outcomes = [spent]
    assert await house.ask(Principal(BUDGETED)) == (first, ANY)
    house.ledger.outcomes = [spent]
    with pytest.raises(BudgetExhausted):
        await house.ask(Principal(BUDGETED), max_tokens=7)
    await house.settlement.drain(1)
    assert (len(house.upstream.requests), len(house.ledger.settled), house.ledger.released) == (1, 2, ["req_1"])
    assert [len(claim.budgets) for claim in house.ledger.claims] == [1, 1, 0, 1, 0]


async def test_the_same_request_many_times_at_once_is_asked_for_once() -> None:
    for replies, asked, hits in (([whole()], 1, 4), ([broken_off(), whole()], 2, 3)):
        house = CachingHouse(*replies)

        async def ask(number: int, house: CachingHouse = house) -> bytes:
            one = structs.replace(call(), request_id=f"req_{number}")
            reply = await house.gateway.serve(one, Principal(KEY))
            return dict(reply.headers)[b"x-keyhouse-cache"]

        told = await asyncio.gather(*(ask(number) for number in range(5)), return_exceptions=True)
        assert len(house.upstream.requests) == asked
        assert told.count(b"hit") == hits, told


async def test_nobody_waits_for_an_answer_that_will_not_come() -> None:
    refused = CachingHouse(whole(), whole())
    await refused.ask(Principal(BUDGETED), max_tokens=7)
    refused.ledger.outcomes = [
        Refused("budget", 60, budget=BudgetStanding(refused.ledger.claims[0].budgets[0], 10**9, 0))
    ]
    with pytest.raises(BudgetExhausted):
        await refused.ask(Principal(BUDGETED))
    unasked = CachingHouse(stream(START, TEXT * 300, DELTA, STOP), whole())
    await unasked.ask()  # a stream for who wanted none, and too large to be kept
    gone = CachingHouse(stream(START, TEXT, DELTA, STOP), whole())
    reply = await gone.gateway.serve(call(), Principal(KEY))
    assert not isinstance(reply.body, bytes)
    await reply.body.close()

    for house in (refused, unasked, gone):
        async with asyncio.timeout(5):
            _, told = await house.ask(Principal(BUDGETED))
        assert told[b"x-keyhouse-cache"] == b"miss"


async def test_a_cache_by_litellms_file_is_for_the_kinds_of_calls_that_it_names_and_who_asks_for_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.yaml").write_text("""
litellm_settings:
  cache: true
  cache_params: {type: redis, ttl: 600, mode: default_off, supported_call_types: [anthropic_messages]}
""")
    read_settings = load_settings({}, {"config_path": tmp_path / "config.yaml"})
    mode, types = read_settings.response_cache, frozenset(read_settings.response_cache_call_types)
    assert mode != "off"
    rules = CacheRules(mode=mode, ttl_s=read_settings.response_cache_ttl_s, call_types=types)
    house = CachingHouse(*(whole() for _ in range(4)), rules=rules)
    said: dict[str, Any] = {"cache": {"use-cache": True}}
    fields: dict[str, Any]
    for fields, told in (({}, None), (said, b"miss"), (said, b"hit")):
        _, head = await house.ask(None, **fields)
        assert head.get(b"x-keyhouse-cache") == told
    assert house.answers.ttls_s == [600]
    house = CachingHouse(whole(), rules=CacheRules(mode=mode, call_types=frozenset({"acompletion"})))
    _, head = await house.ask(None, **said)
    assert b"x-keyhouse-cache" not in head


async def test_a_stream_is_given_again_as_a_stream_and_serves_no_whole_answer() -> None:
    house = CachingHouse(stream(START, TEXT, DELTA + STOP), whole())
    first, _ = await house.ask(stream=True)
    again, told = await house.ask(stream=True)
    _, other = await house.ask()

    assert (first, again) == (START + TEXT + DELTA + STOP, first)
    assert told[b"content-type"].startswith(b"text/event-stream")
    assert other[b"x-keyhouse-cache"] == b"miss"


@pytest.mark.parametrize(
    ("reply", "fields"),
    [
        (ScriptedReply(529, JSON, [b'{"type":"error"}']), {}),
        (ScriptedReply(200, JSON, [b'{"type":"message"}']), {}),
        (stream(START, TEXT), {"stream": True}),
        (stream(START, b'event: error\ndata: {"type":"error","error":{}}\n\n'), {"stream": True}),
        (ScriptedReply(200, JSON, [WHOLE + b" " * 10_000]), {}),
        (whole(), {"tools": TOOLS}),
        (whole(), {"container": "box_1", "cache": {"tools": True}}),
        (whole(), {"cache": {"no-store": True}}),
        (whole(), {"cache": False}),
    ],
    ids=["error", "uncounted", "cut", "failed", "large", "tools", "state", "no-store", "refused"],
)
async def test_what_is_no_whole_answer_or_may_act_is_not_kept(reply: ScriptedReply, fields: dict[str, Any]) -> None:
    house = CachingHouse(reply)
    served = await house.gateway.serve(call(**fields), Principal(KEY))
    if not isinstance(served.body, bytes):
        with contextlib.suppress(StreamCut):
            await read(served)
    await asyncio.sleep(0)
    assert house.answers.by_digest == {}


async def test_opting_in_takes_a_word_of_the_request_the_key_or_the_team_and_a_no_stands() -> None:
    house = CachingHouse(*(whole() for _ in range(6)), rules=CacheRules(mode="opt_in", ttl_s=9))
    cached = replace(KEY, metadata={"cache": {"ttl": 5}})
    ours = Principal(KEY, Team(TeamId("red"), "red", metadata={"cache": True}))
    never = Principal(cached, Team(TeamId("red"), "red", metadata={"cache": False}))
    heads = [
        (await house.ask(principal, headers=headers))[1].get(b"x-keyhouse-cache")
        for principal, headers in ((Principal(KEY), None), (Principal(KEY), USE), (ours, None), (never, USE))
    ]
    assert heads == [None, b"miss", b"hit", None]
    await house.ask(Principal(cached), cache={"no-cache": True})
    assert house.answers.ttls_s == [9, 5]


async def test_teams_never_share_and_keys_of_one_team_do() -> None:
    house = CachingHouse(*(whole() for _ in range(4)))
    people = [
        Principal(replace(KEY, key_id=KeyId(key), team_id=None if team is None else TeamId(team)))
        for key, team in (("a", "red"), ("b", "red"), ("c", "blue"), ("d", None), ("e", None))
    ]
    heads = [(await house.ask(person))[1][b"x-keyhouse-cache"] for person in people]
    assert heads == [b"miss", b"hit", b"miss", b"miss", b"miss"]


async def test_a_store_that_does_not_answer_is_a_miss_and_words_without_sense_are_refused() -> None:
    house = CachingHouse(whole())
    house.answers.down = True
    assert (await house.ask())[1][b"x-keyhouse-cache"] == b"miss"
    with pytest.raises(InvalidRequest, match='"ttl" must be a whole number'):
        await house.ask(cache={"ttl": "long"})
    with pytest.raises(InvalidRequest, match='"stale" is not known'):
        await house.ask(headers=[(b"x-keyhouse-cache", b"stale")])
    assert b"cache" not in house.upstream.requests[0].body


async def test_the_words_for_us_never_reach_the_provider() -> None:
    house = CachingHouse(whole())
    await house.ask(cache={"ttl": 60}, headers=[(b"x-keyhouse-cache", b"namespace=faq")])
    sent = house.upstream.requests[0]
    assert b"cache" not in sent.body
    assert not [name for name, _ in sent.headers if b"keyhouse" in name]


TEXTS = st.text(max_size=4)
BODIES = st.fixed_dictionaries(
    {"messages": st.lists(TEXTS, max_size=3)},
    optional={"temperature": st.integers(0, 2), "system": TEXTS, "stream": st.booleans(), "stop_sequences": TEXTS},
)
ASKED = st.tuples(
    BODIES, st.sampled_from(["red", "blue", None]), st.sampled_from([None, b"2023-06-01", b"2024-01-01"]),
    st.sampled_from(["claude-sonnet-4-5", "dear"]),
)  # fmt: skip


def _digest(body: dict[str, Any], team: str | None, version: bytes | None, model: str, *, turned: bool) -> bytes:
    items = list({"model": model, **body}.items())
    headers = [] if version is None else [(b"anthropic-version", version)]
    raw = msgspec.json.encode(dict(reversed(items) if turned else items))
    return _digest_of(raw, headers, team)


def _digest_of(raw: bytes, headers: list[Header], team: str | None) -> bytes:
    async def build() -> bytes:
        asked = structs.replace(call(headers=[*headers, (b"user-agent", b"x")]), body=raw)
        codecs: Any = {codec.name: codec for codec in (AnthropicMessages(), OpenAIChat())}
        exchanges = Exchanges(codecs)
        envelope = exchanges.read_envelope(asked)
        model = CATALOG.resolve(envelope.model)
        assert model is not None
        deployment = model.deployments[0]
        exchange = exchanges.choose(asked, envelope, deployment)
        principal = Principal(replace(KEY, team_id=None if team is None else TeamId(team)))
        grant = Grant(principal, envelope, model, deployment, exchange)
        return digest_of(_parts(asked, grant, ""))

    return asyncio.run(build())


@settings(max_examples=60)
@given(ASKED, ASKED, st.booleans())
def test_two_requests_share_an_answer_only_where_nothing_that_matters_differs(
    one: tuple[Any, ...], other: tuple[Any, ...], turned: bool
) -> None:
    same = _plain(one) == _plain(other)
    assert (_digest(*one, turned=False) == _digest(*other, turned=turned)) == same


def _plain(asked: tuple[Any, ...]) -> tuple[Any, ...]:
    body = dict(asked[0])
    return bool(body.pop("stream", False)), body, *asked[1:]
