"""Chooses the deployment of each attempt, and remembers how they answer: all in this process, without any store."""

import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from math import ceil, inf
from typing import Any

from app.base import clock
from app.base.logs import get_logger
from app.base.metrics import Metrics
from app.domain.catalog import Deployment, Model
from app.domain.failures import Failure, FailureKind
from app.domain.health import Health, RetryBudget
from app.domain.routing import RoutingRules, Standing, choose, credential_of, is_silent
from app.domain.spend import Receipt
from app.gateway.attribution import SESSION_HEADER, header_text
from app.gateway.call import Call
from app.gateway.route import Asked, Group, Route

OTHERS_TRIED = 4
"""How many further deployments of a model are tried where nobody has set a number."""
MOST_ATTEMPTS = 10
LONGEST_WAIT_S = 10.0
_FIRST_WAIT_S = 0.5
_MOST_REMEMBERED = 4096
_MOST_HOMES = 1024
_CACHED_TOKEN_PERCENT = 10


class Router:
    """``now`` is a clock in seconds that never goes back."""

    def __init__(self, rules: RoutingRules, metrics: Metrics, *, now: Callable[[], float] = time.monotonic) -> None:
        self.rules = rules
        self.now = now
        self.on_change: Callable[[Deployment, Health], None] | None = None
        """Told when a deployment is put aside or comes back; it returns at once."""
        self.routed_at_s = -inf
        """When a call last had a choice."""
        self._metrics = metrics
        self._groups: dict[str, Group] = {}
        self._standings: dict[str, Standing] = {}
        self._ejected = 0
        self._budget = RetryBudget()
        self._nothing_set = not (
            rules.fallbacks
            or rules.context_window_fallbacks
            or rules.content_policy_fallbacks
            or rules.default_fallbacks
            or rules.num_retries
            or rules.client_fallbacks
        )
        self._log = get_logger()

    @property
    def standings(self) -> Collection[Standing]:
        return self._standings.values()

    def begin(self, call: Call, asked: Asked, model: Model, named: tuple[str, ...] = ()) -> Route | None:
        """The way of a call, at its beginning; None where there is nothing to choose and nothing else to try.

        ``named`` are the fallbacks that the call itself names. A caller's own login is the same wherever it is tried,
        and what its plan refuses says nothing about us: one attempt, of which nothing is learned.
        """
        if asked.principal.own_login:
            return None
        if self._nothing_set and len(model.deployments) == 1 and model.deployments[0].retries is None:
            return None
        group = self._group(model)
        if group.plain and not named:
            return None
        route = Route(asked, model, group, self._settled)
        route.from_caller = named
        route.left = self._further(group)
        if self.rules.session_affinity and len(group.standings) > 1:
            route.session = _session(call, asked)
        self.routed_at_s = self.now()
        self._budget.note_request(self.routed_at_s)
        return route

    def choose(self, route: Route) -> bool:
        """Choose for the next attempt among what may be called; False where all of the model is put aside."""
        now_s = self.now()
        standings: Sequence[Standing] = route.group.standings
        if route.tried:
            standings = [standing for standing in standings if standing not in route.tried]
        if self._ejected:
            standings = [standing for standing in standings if standing.health.may_be_called(now_s)]
        if not standings:
            return False
        self._take(route, self._pick(route, standings, now_s))
        return True

    def last_resort(self, route: Route) -> None:
        """All is put aside and nothing else may serve: the one whose time ends first, as a call is to be answered."""
        self._take(route, min(route.group.standings, key=lambda standing: standing.health.until_s))

    def despair(self, route: Route, failure: Failure) -> bool:
        """All that is well has failed: choose what is put aside of the model asked for, and was not tried yet, where
        there is any."""
        group, now_s = route.group_asked, self.now()
        if failure.meaning.verdict == "give_up" or group.attempts_set is not None or route.attempt >= MOST_ATTEMPTS:
            return False
        aside = [one for one in group.standings if one not in route.tried and not one.health.may_be_called(now_s)]
        if not aside or not self._budget.take(now_s):
            return False
        route.model, route.group, route.left = route.model_asked, group, 0
        self._take(route, min(aside, key=lambda standing: standing.health.until_s))
        return True

    def enter(self, route: Route, model: Model) -> bool:
        """Go on with another model; False where it was tried already, or all of it is put aside."""
        if model.name in route.visited:
            return False
        route.visited.add(model.name)
        route.model, route.group = model, self._group(model)
        route.left = self._further(route.group)
        return self.choose(route)

    def must_wait(self, route: Route, failure: Failure) -> bool:
        """There is a deployment that could answer, and for now no room among the retries: more traffic makes it."""
        if failure.meaning.verdict == "give_up" or route.left <= 0 or route.attempt >= MOST_ATTEMPTS:
            return False
        now_s = self.now()
        return not self._budget.has_room(now_s) and any(
            not standing.health.ejected and not standing.health.consecutive and standing not in route.tried
            for standing in route.group.standings
        )

    def again(self, route: Route, failure: Failure) -> float | None:
        """Choose the next attempt on the same model: the seconds to wait before it, None where there is none."""
        if failure.meaning.verdict == "give_up" or route.left <= 0 or route.attempt >= MOST_ATTEMPTS:
            return None
        now_s = self.now()
        failed = route.tried[-1]
        others = [
            standing
            for standing in route.group.standings
            if standing not in route.tried and standing.health.may_be_called(now_s)
        ]
        wait_s = 0.0
        if not others:
            if route.group.attempts_set is None or failure.meaning.verdict != "same":
                return None
            wait_s = self._pause(route, failure)
            if wait_s > LONGEST_WAIT_S:
                return None
        if not self._budget.take(now_s):
            return None
        route.left -= 1
        route.waits += not others
        self._take(route, self._pick(route, others, now_s) if others else failed)
        return wait_s

    def fallback(self, route: Route, failure: Failure | None) -> str | None:
        """The name of the next model that may serve instead; ``failure`` None: the model was put aside before."""
        kind: FailureKind | None = None
        if failure is not None:
            fits_another = failure.kind in ("context_window", "content_policy")
            if failure.meaning.verdict == "give_up" and not fits_another:
                return None
            if fits_another:
                kind = failure.kind
        if kind not in route.loaded:
            route.loaded.add(kind)
            found = self.rules.fallbacks_of((route.asked.envelope.model, *route.model.names), kind)
            if kind is None:
                found = (*route.from_caller, *found)
            route.queue.extend(found[: self.rules.max_fallbacks])
        if not route.queue or route.attempt >= MOST_ATTEMPTS:
            return None
        if failure is not None and kind is None and not self._budget.take(self.now()):
            return None
        return route.queue.popleft()

    def fell_back(self, failed: str, served: str) -> None:
        self._metrics.child(self._metrics.fallbacks, failed, served).inc()

    def began(self, route: Route) -> None:
        """The attempt goes out."""
        standing = route.current
        assert standing is not None
        route.attempt += 1
        route.began_s = self.now()
        standing.begin(minute_now())
        if self._ejected:
            standing.health.begin_probe(route.began_s, standing.deployment.timeouts.first_byte_s)

    def head_came(self, route: Route) -> None:
        """The host has begun to answer: how long this attempt took to it."""
        if route.current is not None:
            now_s = self.now()
            route.current.unanswered = 0
            route.current.measure((now_s - route.began_s) * 1000, now_s)

    def stream_began(self, route: Route) -> None:
        """The first bytes of a stream have come. It may break off yet: what becomes of it its receipt will tell, and
        until then, or as long as it may be silent, no other call tries what is put aside."""
        route.answered = True
        standing = route.current
        if standing is not None:
            standing.health.begin_probe(self.now(), standing.deployment.timeouts.idle_s)

    def answered(self, route: Route) -> None:
        """A whole answer has come."""
        route.answered = True
        self._succeeded(route.current or route.tried[-1])

    def failed(self, route: Route, failure: Failure) -> None:
        """Nothing came of the attempt."""
        standing = route.tried[-1]
        standing.unanswered = 0
        self.left(route)
        self._metrics.child(
            self._metrics.failed_attempts, standing.deployment.deployment_id, standing.deployment.provider, failure.kind
        ).inc()
        self._log.info(
            "attempt failed",
            deployment=standing.deployment.deployment_id,
            provider=standing.deployment.provider,
            kind=failure.kind,
            attempt=route.attempt,
        )
        self._blame(route.group, standing, failure)

    def left(self, route: Route) -> None:
        """The attempt is over, however it ended. Safe to say twice."""
        standing = route.current
        if standing is not None:
            standing.running -= 1
            standing.health.probe_ends_s = 0
            route.current = None

    def failed_alone(self, deployment: Deployment, failure: Failure) -> None:
        """A model with one deployment and nothing else to try: only noted, as nothing could take its place."""
        if failure.meaning.blame != "nobody":
            self._forget()
            health = self._standing(deployment).health
            health.consecutive += 1
            health.reason = failure.kind

    def answered_alone(self, deployment: Deployment) -> None:
        standing = self._standings.get(deployment.deployment_id)
        if standing is not None:
            standing.health.consecutive = 0

    def troubled(self) -> Iterator[tuple[Deployment, Health]]:
        """The deployments that are put aside, or whose last call has failed."""
        for standing in self._standings.values():
            if standing.health.ejected or standing.health.consecutive:
                yield standing.deployment, standing.health

    def _pick(self, route: Route, standings: Sequence[Standing], now_s: float) -> Standing:
        if len(standings) == 1:
            return standings[0]
        session, homes = route.session, route.group.homes
        nothing_in_the_way = standings is route.group.standings and not route.group.limited
        if session is not None and nothing_in_the_way and (home := homes.get(session)) is not None:
            if not is_silent(home, standings):
                return home
            nothing_in_the_way = False
        minute = minute_now()
        if route.group.limited:
            standings = [standing for standing in standings if standing.has_room(minute)] or standings
        if route.group.ordered:
            orders = [standing.order for standing in standings]
            first = min(orders)
            standings = [standing for standing, order in zip(standings, orders, strict=True) if order == first]
        found = choose(self.rules.strategy, standings, now_s, minute, random.random, session)
        if is_silent(found, standings) and (heard := [one for one in standings if not is_silent(one, standings)]):
            return choose(self.rules.strategy, heard, now_s, minute, random.random, session)
        if session is not None and nothing_in_the_way:
            if len(homes) >= _MOST_HOMES:
                homes.clear()
            homes[session] = found
        return found

    def _take(self, route: Route, standing: Standing) -> None:
        route.current = standing
        if standing not in route.tried:
            route.tried.append(standing)
        else:
            route.tried.remove(standing)
            route.tried.append(standing)

    def _pause(self, route: Route, failure: Failure) -> float:
        """Twice as long each time, spread so that those who failed together do not come again together."""
        pause_s: float = _FIRST_WAIT_S * 2**route.waits * random.uniform(0.5, 1)  # noqa: S311  spreads load
        return max(min(pause_s, LONGEST_WAIT_S), self.rules.retry_after_s, failure.retry_after_s or 0)

    def _further(self, group: Group) -> int:
        if group.attempts_set is not None:
            return group.attempts_set
        return min(len(group.standings) - 1, OTHERS_TRIED)

    def _blame(self, group: Group, standing: Standing, failure: Failure) -> None:
        blame, now_s = failure.meaning.blame, self.now()
        if blame == "nobody":
            self._succeeded(standing)  # whoever refuses what is wrong with a call is well
            return
        enough = standing.health.has_failed_enough(now_s, self.rules.breaker)
        if self.rules.breaker.disabled:
            return
        if blame == "credential":
            for other in list(self._standings.values()):
                if credential_of(other.deployment) == credential_of(standing.deployment):
                    self._eject(other, failure)
        elif blame == "limit" or (enough and (standing.health.ejected or self._may_eject(group))):
            self._eject(standing, failure)

    def _succeeded(self, standing: Standing) -> None:
        if standing.health.succeed(self.now()):
            self.changed(standing, came_back=True)

    def _may_eject(self, group: Group) -> bool:
        """At most half of a model's deployments, rounded up, are put aside for their failures: when more of them fail,
        it is likely not they that are at fault, and the rest would get all the load. A fallback takes it otherwise."""
        if group.may_be_all_aside:
            return True
        put_aside = sum(standing.health.ejected for standing in group.standings)
        return put_aside < ceil(len(group.standings) / 2)

    def _eject(self, standing: Standing, failure: Failure) -> None:
        breaker = self.rules.breaker
        cooldown_s = standing.deployment.cooldown_s
        if cooldown_s is not None:
            breaker = type(breaker)(breaker.allowed_fails, cooldown_s)
        if standing.health.eject(self.now(), breaker, failure.kind, failure.retry_after_s or 0):
            self.changed(standing, came_back=False)

    def changed(self, standing: Standing, *, came_back: bool) -> None:
        """It was put aside, here or by another process, or it came back: said, and counted."""
        deployment, health = standing.deployment, standing.health
        self._ejected = max(self._ejected + (-1 if came_back else 1), 0)
        state = "healthy" if came_back else "ejected"
        self._metrics.child(
            self._metrics.deployment_changes, deployment.deployment_id, deployment.provider, state
        ).inc()
        facts: dict[str, Any] = {"deployment": deployment.deployment_id, "provider": deployment.provider}
        if came_back:
            self._log.info("deployment is called again", **facts)
        else:
            for_s = round(health.until_s - self.now(), 1)
            self._log.warning("deployment is put aside", reason=health.reason, for_s=for_s, **facts)
        if self.on_change is not None:
            self.on_change(deployment, health)

    def _settled(self, route: Route, receipt: Receipt) -> None:
        standing = route.current
        if standing is None:
            return
        standing.tokens += receipt.usage.rate_tokens(_CACHED_TOKEN_PERCENT)
        if route.answered:
            if receipt.status == "error":
                self._blame(route.group, standing, Failure("broken"))
            elif receipt.status == "ok":
                self._succeeded(standing)
        self.left(route)

    def _group(self, model: Model) -> Group:
        group = self._groups.get(model.name)
        if group is not None and group.deployments is model.deployments:
            return group
        self._forget()
        standings = [self._standing(deployment) for deployment in model.deployments]
        retries = [one.retries for one in model.deployments if one.retries is not None]
        attempts_set = max(retries) if retries else self.rules.num_retries
        fallbacks = self.rules.fallbacks_of(model.names, None)
        group = self._groups[model.name] = Group(model, standings, attempts_set, fallbacks)
        if self.rules.has_fallbacks(model.names):
            group.plain = False
        return group

    def _forget(self) -> None:
        """Names that a wildcard takes are without end; what was known of each is learned again."""
        if max(len(self._groups), len(self._standings)) >= _MOST_REMEMBERED:
            self._groups.clear()
            self._standings.clear()
            self._ejected = 0

    def _standing(self, deployment: Deployment) -> Standing:
        standing = self._standings.get(deployment.deployment_id)
        rates = deployment.prices.at(clock.now()).rates
        price = rates.input + rates.output
        if standing is None:
            standing = self._standings[deployment.deployment_id] = Standing(deployment, price)
        elif standing.deployment != deployment:
            standing.deployment, standing.price = deployment, price
        return standing


def minute_now() -> int:
    return int(time.time()) // 60


def _session(call: Call, asked: Asked) -> str | None:
    for name, value in call.headers:
        if name == SESSION_HEADER and value:
            return header_text(value)
    return asked.envelope.session_id
