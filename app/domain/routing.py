"""Which deployment of a model serves a call: LiteLLM's strategies, as pure functions over where each one stands."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from app.domain.catalog import Deployment
from app.domain.failures import FailureKind
from app.domain.health import BreakerRules, Health

Strategy = Literal[
    "simple-shuffle",
    "least-busy",
    "latency-based-routing",
    "cost-based-routing",
    "usage-based-routing",
    "usage-based-routing-v2",
]
Roll = Callable[[], float]
"""A random number from 0 to below 1."""

_MEASURED_FOR_S = 60
"""After so long the average of latencies begins anew."""
_DEFAULT_TAG = "default"
PATIENCE = 5
"""How many calls may wait for a first word, whatever the others do."""
_NEWEST_PERCENT = 30
_HASH_BITS = 53
_HASH_MASK = (1 << _HASH_BITS) - 1
_HASH_ROOM = 2 << _HASH_BITS
_ODD = 0x9E3779B97F4A7C15
_LAST = 1 << 30
_LOW_BITS = 7  # the lowest of a product are not mixed well


@dataclass(frozen=True, slots=True)
class LatencyRules:
    """LiteLLM's ``routing_strategy_args``: ``kept_s`` is how long a measured latency is believed (a deployment that was
    slow is tried again after that), and who is so many percent slower than the fastest is called as well."""

    kept_s: int = 60
    buffer_percent: int = 10


@dataclass(frozen=True, slots=True)
class RoutingRules:
    """LiteLLM's ``router_settings``. ``num_retries`` None: where a model has several deployments the others are tried,
    and nothing else is. The fallbacks are names of models by the name of the model that failed, ``*`` is any.
    ``client_fallbacks``: a call may name its own, as ``fallbacks`` or ``models``. The retry policies say by LiteLLM's
    names of errors how often is tried again, for all models and by the name of one. ``tag_filtering``: deployments with
    tags serve the calls that have one of them, or all where not ``tag_match_any``. ``pre_call_checks``: what takes
    shorter prompts than the call has is left out.
    """

    strategy: Strategy = "simple-shuffle"
    num_retries: int | None = None
    retry_after_s: float = 0
    breaker: BreakerRules = field(default_factory=BreakerRules)
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    context_window_fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    content_policy_fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    default_fallbacks: tuple[str, ...] = ()
    max_fallbacks: int = 5
    client_fallbacks: bool = False
    session_affinity: bool = True
    retry_policy: Mapping[str, int] = field(default_factory=dict)
    model_retry_policies: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    tag_filtering: bool = False
    tag_match_any: bool = True
    pre_call_checks: bool = False
    latency: LatencyRules = LatencyRules()

    def retry_policy_of(self, names: Sequence[str]) -> Mapping[str, int]:
        """What is said of the model comes before what is said of all."""
        own = next((self.model_retry_policies[name] for name in names if name in self.model_retry_policies), None)
        return self.retry_policy if own is None else own

    def fallbacks_of(self, names: Sequence[str], kind: FailureKind | None) -> tuple[str, ...]:
        """What may serve instead of a model of these names, after a failure of that kind (None: it is put aside)."""
        if kind == "context_window":
            return _first_named(self.context_window_fallbacks, names)
        if kind == "content_policy":
            return _first_named(self.content_policy_fallbacks, names)
        return _first_named(self.fallbacks, names) or self.default_fallbacks

    @property
    def targets(self) -> frozenset[str]:
        """All models that may serve instead of another."""
        named = (self.fallbacks, self.context_window_fallbacks, self.content_policy_fallbacks)
        lists = [*self.default_fallbacks, *(name for one in named for names in one.values() for name in names)]
        return frozenset(lists)

    def has_fallbacks(self, names: Sequence[str]) -> bool:
        kinds: tuple[FailureKind | None, ...] = (None, "context_window", "content_policy")
        return any(self.fallbacks_of(names, kind) for kind in kinds)


class Standing:
    """Where one deployment stands in this process: changed in place as calls come and go.

    ``requests`` and ``tokens`` are of the minute ``minute``; ``others_…`` is what other processes have said of theirs.
    ``price`` is nano-dollars of a million tokens in and a million out; ``latency_ms`` is to the first byte.
    ``unanswered`` are the calls that went out since it last said anything. Its budget is spent until
    ``spent_until_s``, as far as is known.
    """

    __slots__ = (
        "deployment", "health", "latency_ms", "measured_s", "minute", "others_requests", "others_running",
        "others_tokens", "price", "requests", "running", "seed", "shown_id", "spent_until_s", "tokens", "unanswered",
    )  # fmt: skip

    def __init__(self, deployment: Deployment, price: int) -> None:
        self.deployment = deployment
        self.price = price
        self.health = Health()
        self.seed = zlib.crc32(deployment.deployment_id.encode())
        self.shown_id = deployment.deployment_id.encode("ascii", "replace")
        self.running = self.others_running = self.unanswered = 0
        self.latency_ms: float = 0
        self.measured_s: float = 0
        self.spent_until_s: float = 0
        self.minute = self.requests = self.tokens = self.others_requests = self.others_tokens = 0

    @property
    def order(self) -> int:
        """Those without one come last."""
        order = self.deployment.order
        return _LAST if order is None else order

    def may_be_called(self, now_s: float) -> bool:
        return self.health.may_be_called(now_s) and self.spent_until_s <= now_s

    def begin(self, minute: int) -> None:
        self.running += 1
        self.unanswered += 1
        if minute != self.minute:
            self.turn_to(minute)
        self.requests += 1

    def turn_to(self, minute: int) -> None:
        self.minute = minute
        self.requests = self.tokens = self.others_requests = self.others_tokens = 0

    def measure(self, first_byte_ms: float, now_s: float) -> None:
        if now_s - self.measured_s > _MEASURED_FOR_S:
            self.latency_ms = first_byte_ms
        self.latency_ms += (first_byte_ms - self.latency_ms) * _NEWEST_PERCENT / 100
        self.measured_s = now_s

    def has_room(self, minute: int) -> bool:
        """Within what the operator says that it takes at once and in a minute."""
        deployment = self.deployment
        if deployment.most_running is not None and self.running + self.others_running >= deployment.most_running:
            return False
        if minute != self.minute:
            return True
        most_requests, most_tokens = deployment.requests_per_minute, deployment.tokens_per_minute
        if most_requests is not None and self.requests + self.others_requests >= most_requests:
            return False
        return most_tokens is None or self.tokens + self.others_tokens < most_tokens

    def takes(self, input_tokens: int) -> bool:
        most = self.deployment.max_input_tokens
        return most is None or input_tokens <= most


def for_tags(standings: Sequence[Standing], tags: Sequence[str], *, match_any: bool) -> Sequence[Standing]:
    """Those that are for calls of these tags; else those with the tag ``default``, else those without any; else none,
    or all for a call without tags."""
    asked = frozenset(tags)
    if asked:
        fitting = [
            one for one in standings if (asked & one.deployment.tags if match_any else asked <= one.deployment.tags)
        ]
        if fitting:
            return fitting
    for anyones in (
        [one for one in standings if _DEFAULT_TAG in one.deployment.tags],
        [one for one in standings if not one.deployment.tags],
    ):
        if anyones:
            return anyones
    return () if asked else standings


def credential_of(deployment: Deployment) -> tuple[object, ...]:
    """What tells credentials apart: the host with the key, or with what it signs by."""
    key = None if deployment.api_key is None else deployment.api_key.reveal()
    options = tuple(sorted((name, secret.reveal()) for name, secret in deployment.options.items()))
    return deployment.provider, deployment.api_base, key, options


def choose(  # noqa: PLR0913  what a strategy looks at
    strategy: Strategy,
    standings: Sequence[Standing],
    now_s: float,
    minute: int,
    roll: Roll,
    session: str | None = None,
    latency: LatencyRules = LatencyRules(),
) -> Standing:
    """One of ``standings``, which are at least one, may all be called, and are alike but for how they stand.

    A call of a session goes where the session's other calls go, as its prompt is cached there: among all, or, where the
    operator pays by price, among the cheapest.
    """
    if strategy == "cost-based-routing":
        least = min(standing.price for standing in standings)
        standings = [standing for standing in standings if standing.price == least]
    if len(standings) == 1:
        return standings[0]
    if session is not None:
        return of_session(standings, session)
    if strategy == "least-busy":
        standings = _least(standings, lambda standing: standing.running + standing.others_running)
    elif strategy == "latency-based-routing":
        standings = _fastest(standings, now_s, latency)
    elif strategy in ("usage-based-routing", "usage-based-routing-v2"):
        standings = _least(standings, _usage_in(minute, standings))
    return standings[0] if len(standings) == 1 else _shuffled(standings, roll)


def heard_of(standings: Sequence[Standing]) -> list[Standing]:
    """Without those that say nothing while others of their like answer: calls pile up there, until the first of them is
    given up. What is slow where all are slow is not silent. Nothing is left out below ``PATIENCE``."""
    least: float = min(
        (one.unanswered / one.deployment.weight for one in standings if one.deployment.weight > 0), default=math.inf
    )
    return [one for one in standings if one.unanswered <= PATIENCE + 2 * least * max(one.deployment.weight, 1)]


def of_session(standings: Sequence[Standing], session: str) -> Standing:
    """By rendezvous hashing, weighted: every process finds the same without asking, and when a deployment is put aside
    only the sessions that were on it move."""
    key = zlib.crc32(session.encode("utf-8", "replace"))
    best, best_score = standings[0], math.inf
    for standing in standings:
        if standing.deployment.weight <= 0:
            continue
        seed = standing.seed
        part = (((key + seed) * (key ^ seed) * _ODD) >> _LOW_BITS & _HASH_MASK) * 2 + 1
        score = -math.log(part / _HASH_ROOM) / standing.deployment.weight
        if score < best_score:
            best, best_score = standing, score
    return best


def _shuffled(standings: Sequence[Standing], roll: Roll) -> Standing:
    total = 0
    for standing in standings:
        total += standing.deployment.weight
    at = roll() * (total or len(standings))
    for standing in standings:
        at -= standing.deployment.weight if total else 1
        if at < 0:
            return standing
    return standings[-1]


def _least(standings: Sequence[Standing], measure: Callable[[Standing], float]) -> list[Standing]:
    values = [measure(standing) for standing in standings]
    least = min(values)
    return [standing for standing, value in zip(standings, values, strict=True) if value == least]


def _fastest(standings: Sequence[Standing], now_s: float, rules: LatencyRules) -> Sequence[Standing]:
    """Those of which nothing is known of late, else those nearly as fast as the fastest."""
    unknown = [standing for standing in standings if now_s - standing.measured_s > rules.kept_s]
    if unknown:
        # One call at a time finds out: a slow one is not to be found out by many.
        idle = [standing for standing in unknown if not standing.running]
        if idle:
            return idle
        standings = [standing for standing in standings if standing not in unknown] or unknown
    limit = min(standing.latency_ms for standing in standings) * (100 + rules.buffer_percent) / 100
    return [standing for standing in standings if standing.latency_ms <= limit]


def _usage_in(minute: int, standings: Sequence[Standing]) -> Callable[[Standing], float]:
    """Tokens of this minute; as a share of what each takes, where that is said of all."""
    shares = all(standing.deployment.tokens_per_minute for standing in standings)

    def usage(standing: Standing) -> float:
        if standing.minute != minute:
            return 0
        used = standing.tokens + standing.others_tokens
        most = standing.deployment.tokens_per_minute
        return used / most if shares and most else used

    return usage


def _first_named(fallbacks: Mapping[str, tuple[str, ...]], names: Sequence[str]) -> tuple[str, ...]:
    return next((fallbacks[name] for name in (*names, "*") if name in fallbacks), ())
