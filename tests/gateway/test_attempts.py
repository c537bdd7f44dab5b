"""The attempts of one call over several deployments and models: what is tried, checked, booked and told.

P8: one charge for each attempt that really happened, one logical request. P10: a fallback is checked as if it had been
asked for.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from prometheus_client import CollectorRegistry

from app.base.errors import BudgetExhausted, InvalidRequest, UpstreamBroken, UpstreamError, UpstreamUnreachable
from app.base.ids import DeploymentId, new_id
from app.base.metrics import Metrics
from app.base.secret import Secret
from app.domain.access import Principal
from app.domain.catalog import Catalog, Deployment, Model
from app.domain.health import BreakerRules
from app.domain.keys import VirtualKey
from app.domain.limits import RateLimits
from app.domain.pricing import PriceSheet, Rates, always
from app.domain.routing import RoutingRules
from app.domain.spend import Admitted, BudgetStanding, Claim, Refused
from app.gateway.admit import Admission, AdmissionRules
from app.gateway.call import Operation, Reply, StreamCut
from app.gateway.claims import budget_claims
from app.gateway.exchange import Exchanges
from app.gateway.pipeline import Gateway
from app.gateway.relay import RelayRules
from app.gateway.router import Router
from app.gateway.settle import Settlement
from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.codec import Header
from app.providers.prices import LivePrices
from app.providers.provider import UpstreamReply, UpstreamRequest
from tests.fakes.ports import NotingLedger, OneCatalog, ScriptedReply
from tests.gateway.examples import DEPLOYMENT, KEY, NOW
from tests.gateway.test_pipeline import BUDGETED, JSON, SSE, START, STOP, TEXT, WHOLE, call, event, read

Answer = Callable[[], ScriptedReply | Exception]
LATE: list[Header] = [*JSON, (b"retry-after", b"30")]


def answers() -> ScriptedReply:
    return ScriptedReply(200, JSON, [WHOLE])


def refuses(status: int, body: bytes = b'{"type":"error"}', head: list[Header] = JSON) -> Answer:
    return lambda: ScriptedReply(status, head, [body])


def hosted(name: str, model: str = "claude-sonnet-4-5", **changes: Any) -> Deployment:
    return replace(
        DEPLOYMENT,
        deployment_id=DeploymentId(name),
        upstream_model=model,
        api_base=f"https://{name}.example",
        **changes,
    )


@dataclass
class Hosts:
    """Each answers in its own way, as long as nobody changes it."""

    ways: dict[str, Answer]
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    """Those that say nothing until then."""

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        host = request.url.removeprefix("https://").partition(".")[0]
        self.asked.append(host)
        self.bodies.append(request.body)
        await asyncio.sleep(0)
        if host in self.held:
            await self.held[host].wait()
        reply = self.ways.get(host, answers)()
        if isinstance(reply, Exception):
            raise reply
        return reply


@dataclass
class Farm:
    """``models`` by name, each with its deployments."""

    models: Mapping[str, tuple[Deployment, ...]]
    ways: dict[str, Answer] = field(default_factory=dict)
    rules: RoutingRules = field(default_factory=RoutingRules)
    ledger: NotingLedger = field(default_factory=NotingLedger)
    now_s: float = 1000
    catalog: Catalog | None = None
    at_once: bool = False
    """Several calls are under way together, so each has an id of its own."""

    def __post_init__(self) -> None:
        metrics = Metrics(CollectorRegistry())
        catalog = self.catalog or Catalog(tuple(Model(name, places, name, "") for name, places in self.models.items()))
        self.hosts = Hosts(self.ways)
        self.router = Router(self.rules, metrics, now=lambda: self.now_s)
        self.settlement = Settlement(self.ledger, metrics)
        exchanges = Exchanges({"anthropic_messages": AnthropicMessages()})
        admission = Admission(
            OneCatalog(catalog), self.ledger, exchanges, AdmissionRules(wait_s=0), LivePrices(), self.router
        )
        self.gateway = Gateway(admission, self.hosts, self.settlement, metrics, RelayRules(ping_after_s=0.05))

    async def ask(
        self,
        model: str = "m",
        key: VirtualKey = KEY,
        headers: list[Header] | None = None,
        operation: Operation = "generate",
        **fields: Any,
    ) -> Reply:
        one = call(model=model, headers=headers, operation=operation, **fields)
        if self.at_once:
            one = structs.replace(one, request_id=new_id("req"))
        return await self.gateway.serve(one, Principal(key))


THREE: dict[str, tuple[Deployment, ...]] = {"m": (hosted("a"), hosted("b"), hosted("c"))}
TWO_MODELS: dict[str, tuple[Deployment, ...]] = {"m": (hosted("a"),), "n": (hosted("b"),)}


def header(reply: Reply, name: bytes) -> bytes | None:
    return dict(reply.headers).get(name)


def unreachable() -> ScriptedReply | Exception:
    return UpstreamUnreachable("cannot be reached", provider="anthropic")


@pytest.mark.parametrize(
    "way",
    [
        *(refuses(status) for status in (401, 402, 403, 429, 500, 503, 529)),
        refuses(400, b'{"error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}'),
        lambda: ScriptedReply(200, JSON, [b"{", UpstreamBroken("cut", provider="anthropic")]),
        unreachable,
    ],
)
async def test_whatever_way_one_of_three_fails_nobody_sees_it_and_it_is_put_aside_within_five_failures(
    way: Answer,
) -> None:
    farm = Farm(THREE, {"a": way})
    for _ in range(60):
        assert (await farm.ask()).body == WHOLE
    await farm.settlement.drain(1)
    assert 1 <= farm.hosts.asked.count("a") <= 5
    assert [receipt.status for receipt in farm.ledger.settled].count("ok") == 60
    assert len({(one.request_id, one.attempt, one.status) for one in farm.ledger.settled}) <= 3


async def test_what_the_caller_has_to_mend_goes_back_at_once_and_puts_nobody_aside() -> None:
    farm = Farm(THREE, {name: refuses(400, b'{"error":{"message":"messages: required"}}') for name in "abc"})
    for tries in range(1, 20):
        reply = await farm.ask()
        assert (reply.status, len(farm.hosts.asked)) == (400, tries)
    assert list(farm.router.standings.troubled()) == []


async def test_when_all_have_failed_the_refusal_that_tells_most_passes_unchanged() -> None:
    farm = Farm(THREE, {"a": unreachable, "b": refuses(429, b'{"who":"b"}', LATE), "c": refuses(401)})
    reply = await farm.ask()
    assert (reply.status, reply.body, header(reply, b"retry-after")) == (429, b'{"who":"b"}', b"30")
    assert (header(reply, b"x-keyhouse-deployment"), header(reply, b"x-keyhouse-attempts")) == (b"b", b"3")
    await farm.settlement.drain(1)
    assert (farm.ledger.settled, farm.ledger.released) == ([], ["req_1"])


async def test_one_deployment_alone_is_asked_once_and_its_refusal_passes_unchanged() -> None:
    farm = Farm({"m": (hosted("a"),)}, {"a": refuses(529, b'{"type":"error"}')})
    for tries in range(1, 9):
        reply = await farm.ask()
        assert (reply.status, reply.body, len(farm.hosts.asked)) == (529, b'{"type":"error"}', tries)
        assert header(reply, b"x-keyhouse-attempts") is None
    assert [health.consecutive for _, health in farm.router.standings.troubled()] == [8]
    farm.ways.clear()
    await farm.ask()
    assert list(farm.router.standings.troubled()) == []


async def test_retries_that_are_set_ask_the_same_again_and_a_wait_that_is_too_long_gives_up() -> None:
    left = [refuses(500), answers]
    farm = Farm({"m": (hosted("a", retries=2),)}, {"a": lambda: left.pop(0)()})
    reply = await farm.ask()
    assert (reply.body, header(reply, b"x-keyhouse-attempts")) == (WHOLE, b"2")
    farm.ways["a"] = refuses(429, head=LATE)
    assert (await farm.ask()).status == 429
    assert farm.hosts.asked == ["a"] * 3


async def test_p8_each_attempt_that_may_have_cost_something_has_its_own_receipt_of_one_request() -> None:
    cut = [ScriptedReply(200, JSON, [b"{", UpstreamBroken("cut", provider="anthropic")])]
    farm = Farm(THREE, dict.fromkeys("abc", lambda: cut.pop() if cut else answers()))
    await farm.ask()
    await farm.settlement.drain(1)
    first, second = farm.ledger.settled
    assert (first.request_id, first.attempt, first.status) == ("req_1", 1, "error")
    assert (second.request_id, second.attempt, second.status) == ("req_1", 2, "ok")
    assert first.deployment_id != second.deployment_id
    assert [claim.if_orphaned.attempt for claim in farm.ledger.claims] == [1, 2]


async def test_p8_an_attempt_that_was_refused_costs_nothing_and_the_request_is_counted_once() -> None:
    key = replace(KEY, limits=(RateLimits(requests=10),))
    farm = Farm({"m": (hosted("a", order=1), hosted("b", order=2))}, {"a": refuses(500)})
    await farm.ask(key=key)
    await farm.settlement.drain(1)
    [receipt] = farm.ledger.settled
    assert (receipt.attempt, receipt.deployment_id) == (2, "b")
    assert [claim.rates[0].counted for claim in farm.ledger.claims] == [False, True]


async def test_a_stream_is_tried_elsewhere_before_its_first_byte_and_never_after_it() -> None:
    overloaded = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    farm = Farm({"m": (hosted("a", order=1), hosted("b", order=2))})
    farm.ways["b"] = lambda: ScriptedReply(200, SSE, [START, TEXT, STOP])
    farm.ways["a"] = lambda: ScriptedReply(200, SSE, [overloaded])
    reply = await farm.ask(stream=True)
    assert (await read(reply), header(reply, b"x-keyhouse-deployment")) == (START + TEXT + STOP, b"b")
    farm.ways["a"] = lambda: ScriptedReply(200, SSE, [START, UpstreamBroken("cut", provider="anthropic")])
    reply = await farm.ask(stream=True)
    assert not isinstance(reply.body, bytes)
    assert await anext(aiter(reply.body.chunks())) == START
    await reply.body.close()
    assert farm.hosts.asked == ["a", "b", "a"]


async def test_a_stream_that_begins_late_is_passed_on_so_that_the_client_gets_pings() -> None:
    farm = Farm(THREE, dict.fromkeys("abc", lambda: ScriptedReply(200, SSE, [None])))
    reply = await asyncio.wait_for(farm.ask(stream=True), 60)
    assert not isinstance(reply.body, bytes)
    assert await anext(aiter(reply.body.chunks())) == AnthropicMessages.ping
    await reply.body.close()


async def test_a_caller_who_left_is_not_tried_for_and_holds_nothing() -> None:
    farm = Farm({"m": (hosted("a", retries=2),)}, {"a": refuses(500)})
    asking = asyncio.create_task(farm.ask())
    while not list(farm.router.standings.troubled()):  # noqa: ASYNC110  nothing tells
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)  # it waits half a second before the next attempt
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await farm.settlement.drain(1)
    assert (farm.hosts.asked, farm.ledger.released, farm.ledger.settled) == (["a"], ["req_1"], [])


class SlowLedger(NotingLedger):
    async def reserve(self, claim: Claim) -> Admitted | Refused:
        await asyncio.sleep(0.001)
        return await super().reserve(claim)


async def test_what_is_put_aside_comes_back_by_one_probe_at_a_time() -> None:
    rules = RoutingRules(breaker=BreakerRules(allowed_fails=0, cooldown_s=5))
    farm = Farm(THREE, {"a": refuses(500)}, rules, SlowLedger(), at_once=True)
    while "a" not in farm.hosts.asked:
        await farm.ask()
    farm.hosts.asked.clear()
    for _ in range(30):
        await farm.ask()
    assert "a" not in farm.hosts.asked
    farm.now_s += 5.1
    held, opened = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedReply):
        async def next_chunk(self, wait_s: float) -> bytes:
            held.set()
            await opened.wait()
            return await super().next_chunk(wait_s)

    farm.ways["a"] = lambda: Slow(200, JSON, [WHOLE])
    probes = [asyncio.create_task(farm.ask()) for _ in range(30)]
    await asyncio.wait_for(held.wait(), 60)
    for _ in range(200):
        await asyncio.sleep(0)
    assert farm.hosts.asked.count("a") == 1
    opened.set()
    await asyncio.gather(*probes)
    farm.ways.clear()
    for _ in range(60):
        await farm.ask()
    assert farm.hosts.asked.count("a") > 5


async def test_a_dead_credential_puts_aside_what_has_it_and_nothing_else() -> None:
    dead = Secret("sk-dead")
    host = "https://one.example"
    places = (
        replace(hosted("a"), api_base=host, api_key=dead),
        replace(hosted("b"), api_base=host, api_key=dead),
        hosted("c"),
    )
    farm = Farm({"m": places}, {"one": refuses(401)})
    for _ in range(40):
        assert (await farm.ask()).body == WHOLE
    assert farm.hosts.asked.count("one") == 1
    assert sorted(deployment.deployment_id for deployment, _ in farm.router.standings.troubled()) == ["a", "b"]


async def test_at_most_half_of_a_model_is_put_aside_for_its_failures() -> None:
    farm = Farm({"m": tuple(hosted(name) for name in "abcd")}, dict.fromkeys("abcd", refuses(500)))
    for _ in range(60):
        assert (await farm.ask()).status == 500
    assert sum(health.ejected for _, health in farm.router.standings.troubled()) == 2


async def test_retries_stay_a_share_of_the_traffic_when_everything_fails() -> None:
    farm = Farm(THREE, dict.fromkeys("abc", refuses(500)), RoutingRules(breaker=BreakerRules(disabled=True)))
    for _ in range(500):
        await farm.ask()
    assert len(farm.hosts.asked) <= 500 * 1.2


async def test_a_burst_that_fails_late_is_answered_whole_within_the_share_of_retries() -> None:
    farm = Farm(THREE, {"a": refuses(500)}, at_once=True)
    farm.hosts.held["a"] = asyncio.Event()
    burst = [asyncio.create_task(farm.ask()) for _ in range(150)]
    waiting = 0
    for _ in range(1000):  # the others are still being answered
        waiting = farm.hosts.asked.count("a")
        if waiting + sum(task.done() for task in burst) == len(burst):
            break
        await asyncio.sleep(0.01)
    assert waiting > 30, "more than may be tried again of so many"
    farm.hosts.held["a"].set()
    for _ in range(5 * waiting):
        assert (await farm.ask()).body == WHOLE
    assert [reply.body for reply in await asyncio.gather(*burst)] == [WHOLE] * 150
    retries = len(farm.hosts.asked) - 150 - 5 * waiting
    assert waiting <= retries <= (150 + 5 * waiting) / 5


async def test_calls_do_not_pile_up_where_nothing_is_said_while_others_answer() -> None:
    farm = Farm(THREE, at_once=True)
    farm.hosts.held["a"] = asyncio.Event()
    asked = []
    for number in range(100):
        asked.append(asyncio.create_task(farm.ask()))
        for _ in range(10_000):
            if asked[-1].done() or farm.hosts.asked[number:] == ["a"]:
                break
            await asyncio.sleep(0)
    assert farm.hosts.asked.count("a") <= 8
    farm.hosts.held["a"].set()
    await asyncio.gather(*asked)
    for _ in range(60):
        await farm.ask()
    assert farm.hosts.asked.count("a") > 8 + 60 / 20


async def test_what_is_put_aside_while_a_call_is_admitted_is_not_called_by_it() -> None:
    farm = Farm(THREE, {"a": refuses(401)}, ledger=SlowLedger(), at_once=True)
    farm.router.standings.of(THREE["m"][0])
    burst = [asyncio.create_task(farm.ask()) for _ in range(60)]
    await asyncio.sleep(0)
    aside = farm.router.standings.of(THREE["m"][0])
    assert aside.health.eject(farm.now_s, BreakerRules(), "credential_refused")
    farm.router.standings.changed(aside, came_back=False)
    assert [reply.body for reply in await asyncio.gather(*burst)] == [WHOLE] * 60
    assert "a" not in farm.hosts.asked
    assert len(farm.ledger.claims) > 60
    await farm.settlement.drain(1)
    assert (len(farm.ledger.settled), farm.ledger.released) == (60, [])


async def test_streams_that_break_off_put_a_deployment_aside_though_each_has_begun_well() -> None:
    farm = Farm(THREE)
    farm.ways = farm.hosts.ways = dict.fromkeys("bc", lambda: ScriptedReply(200, SSE, [START, TEXT, STOP]))
    farm.ways["a"] = lambda: ScriptedReply(200, SSE, [START, UpstreamBroken("cut", provider="anthropic")])
    broken = 0
    for _ in range(100):
        reply = await farm.ask(stream=True)
        assert not isinstance(reply.body, bytes)
        try:
            async for _ in reply.body.chunks():
                pass
        except StreamCut:
            broken += 1
        await reply.body.close()
    assert 1 <= farm.hosts.asked.count("a") <= 5
    assert broken == farm.hosts.asked.count("a")


async def test_tokens_are_counted_by_another_deployment_but_not_by_another_model() -> None:
    counted = b'{"input_tokens": 7}'
    farm = Farm({**THREE, "n": (hosted("d"),)}, rules=RoutingRules(fallbacks={"m": ("n",)}))
    farm.ways = farm.hosts.ways = dict.fromkeys("abcd", lambda: ScriptedReply(200, JSON, [counted]))
    farm.ways |= {"a": refuses(500), "b": unreachable}
    for _ in range(12):
        assert (await farm.ask(operation="count_tokens")).body == counted
    assert {"a", "b"} <= set(farm.hosts.asked)
    farm.ways["c"] = refuses(529, b'{"type":"error"}')
    assert (await farm.ask(operation="count_tokens")).status == 529
    assert "d" not in farm.hosts.asked
    assert (farm.ledger.claims, [one.running for one in farm.router.standings]) == ([], [0, 0, 0])


async def test_a_model_that_costs_nothing_is_served_on_a_spent_budget() -> None:
    rates = Rates(0, 0, 0, 0, 0, 0, 0, 0, web_searches=10_000_000_000_000)
    free = always(PriceSheet("v1", "config", rates))
    farm = Farm({"free": (hosted("a", prices=free),), "dear": (hosted("b"),)})
    spent = BudgetStanding(budget_claims(Principal(BUDGETED), None, 1, NOW)[0], 10**9, 0)
    search = [{"type": "web_search_20250305", "name": "web_search"}]
    for model, tools, status in (("free", [], 200), ("free", search, 429), ("dear", [], 429)):
        farm.ledger.outcomes = [Refused("budget", 60, budget=spent)]
        if status == 200:
            assert (await farm.ask(model, BUDGETED, tools=tools)).body == WHOLE
        else:
            with pytest.raises(BudgetExhausted):
                await farm.ask(model, BUDGETED, tools=tools)
    assert farm.hosts.asked == ["a"]
    assert [len(claim.budgets) for claim in farm.ledger.claims] == [1, 0, 1, 1]


async def test_p10_a_forbidden_fallback_is_never_called_and_the_next_one_is() -> None:
    models = {**TWO_MODELS, "o": (hosted("c"),)}
    farm = Farm(models, {"a": refuses(500)}, RoutingRules(fallbacks={"m": ("n", "o")}))
    reply = await farm.ask(key=replace(KEY, models=("m", "o")))
    assert (reply.body, farm.hosts.asked) == (WHOLE, ["a", "c"])
    await farm.settlement.drain(1)
    [receipt] = farm.ledger.settled
    assert (receipt.model_asked, receipt.deployment_id, receipt.attempt) == ("m", "c", 2)


async def test_p10_a_fallback_that_would_break_a_budget_is_refused_and_the_first_refusal_is_told() -> None:
    farm = Farm(TWO_MODELS, {"a": refuses(500, b'{"who":"a"}')}, RoutingRules(default_fallbacks=("n",)))

    class Short(NotingLedger):
        async def reserve(self, claim: Any) -> Any:
            self.claims.append(claim)
            if len(self.claims) > 1:
                return Refused("requests", 1, rate=claim.rates[0])
            return await NotingLedger().reserve(claim)

    farm.ledger.reserve = Short(claims=farm.ledger.claims).reserve  # type: ignore[method-assign]
    reply = await farm.ask(key=replace(KEY, limits=(RateLimits(requests=1),)))
    assert (reply.status, reply.body, farm.hosts.asked) == (500, b'{"who":"a"}', ["a"])


@pytest.mark.parametrize(
    ("body", "served"),
    [
        (b'{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}', "b"),
        (b'{"error":{"code":"content_filter","message":"blocked"}}', "c"),
        (b'{"error":{"message":"messages: required"}}', None),
    ],
)
async def test_what_another_model_could_take_goes_to_the_fallback_of_that_kind(body: bytes, served: str | None) -> None:
    models = {**TWO_MODELS, "o": (hosted("c"),)}
    rules = RoutingRules(context_window_fallbacks={"m": ("n",)}, content_policy_fallbacks={"*": ("o",)})
    farm = Farm(models, {"a": refuses(400, body)}, rules)
    reply = await farm.ask()
    assert farm.hosts.asked[1:] == ([] if served is None else [served])
    assert reply.status == (400 if served is None else 200)


async def test_a_model_that_is_put_aside_is_not_asked_while_its_fallback_may_serve() -> None:
    farm = Farm(TWO_MODELS, {"a": refuses(500)}, RoutingRules(fallbacks={"m": ("n",)}))
    for _ in range(20):
        assert (await farm.ask()).body == WHOLE
    assert farm.hosts.asked.count("a") == 4
    farm.ways["b"] = refuses(500, b'{"who":"b"}')
    assert (await farm.ask(key=replace(KEY, models=("m",)))).status == 500
    assert farm.hosts.asked.count("a") == 5


async def test_a_call_names_its_own_fallbacks_where_that_is_allowed_and_no_host_sees_them() -> None:
    farm = Farm(TWO_MODELS, {"a": refuses(500)}, RoutingRules(client_fallbacks=True))
    assert (await farm.ask(fallbacks=[{"model": "n"}])).body == WHOLE
    assert farm.hosts.asked == ["a", "b"]
    assert all(b"fallbacks" not in body for body in farm.hosts.bodies)
    with pytest.raises(InvalidRequest, match="list of at most"):
        await farm.ask(models=[7])


async def test_when_all_that_is_well_has_failed_what_is_put_aside_is_asked_before_the_caller_is_refused() -> None:
    farm = Farm({"m": (hosted("a"), hosted("b"))}, {"a": refuses(429, head=LATE)})
    while "a" not in farm.hosts.asked:
        await farm.ask()
    farm.ways.clear()
    farm.ways["b"] = refuses(500)
    farm.hosts.asked.clear()
    reply = await farm.ask()
    assert (reply.body, farm.hosts.asked) == (WHOLE, ["b", "a"])


async def test_an_error_of_ours_says_who_was_asked_last_and_how_often() -> None:
    farm = Farm(THREE, dict.fromkeys("abc", unreachable))
    with pytest.raises(UpstreamError) as caught:
        await farm.ask()
    assert dict(caught.value.headers)[b"x-keyhouse-attempts"] == b"3"


WAYS: dict[str, Answer] = {
    "answers": answers,
    "is cut": lambda: ScriptedReply(200, JSON, [b"{", UpstreamBroken("cut", provider="anthropic")]),
    "refuses": refuses(500),
    "limits": refuses(429),
    "is away": unreachable,
    "blames the caller": refuses(400, b'{"error":{"message":"no"}}'),
}


@settings(deadline=None, max_examples=60)
@given(ways=st.lists(st.sampled_from(sorted(WAYS)), min_size=4, max_size=4), retries=st.sampled_from([None, 0]))
def test_p8_whatever_fails_the_receipts_are_those_of_attempts_that_cost_and_nothing_stays_held(
    ways: list[str], retries: int | None
) -> None:
    """One receipt for each attempt that may be billed, each of another attempt of one request, and one hold at the end
    at most, which is given back."""

    async def run() -> None:
        rules = RoutingRules(num_retries=retries, default_fallbacks=("n",))
        models = {"m": (hosted("a"), hosted("b"), hosted("c")), "n": (hosted("d"),)}
        farm = Farm(models, {name: WAYS[way] for name, way in zip("abcd", ways, strict=True)}, rules)
        try:
            status = (await farm.ask()).status
        except UpstreamError:
            status = 0
        await farm.settlement.drain(1)
        said = [ways["abcd".index(host)] for host in farm.hosts.asked]
        settled = farm.ledger.settled
        assert len(settled) == said.count("answers") + said.count("is cut")
        assert len({(receipt.request_id, receipt.attempt) for receipt in settled}) == len(settled)
        assert [receipt.status == "ok" for receipt in settled] == [
            way == "answers" for way in said if way in ("answers", "is cut")
        ]
        assert (status == 200) == (said[-1] == "answers")
        assert "answers" not in said[:-1]
        assert len(farm.ledger.released) == (said[-1] not in ("answers", "is cut"))
        assert [claim.if_orphaned.attempt for claim in farm.ledger.claims] == list(range(1, len(said) + 1))

    asyncio.run(run())
