"""Chooses the deployment of each attempt, and remembers how they answer: all in this process, without any store."""

import random
import time
from collections.abc import Callable, Sequence
from math import inf
from operator import is_

from app.base.errors import ModelNotAllowed
from app.base.logs import get_logger
from app.base.metrics import Metrics
from app.domain.catalog import Deployment, Model
from app.domain.failures import Failure, FailureKind, by_error_name
from app.domain.health import RetryBudget
from app.domain.routing import PATIENCE, RoutingRules, Standing, choose, for_tags, heard_of
from app.domain.spend import Receipt
from app.gateway.attribution import SESSION_HEADER, header_text
from app.gateway.call import Call
from app.gateway.estimate import input_tokens
from app.gateway.route import NO_WISHES, Asked, Group, Route, Wishes
from app.gateway.standings import Standings

OTHERS_TRIED = 4
"""How many further deployments of a model are tried where nobody has set a number."""
MOST_ATTEMPTS = 10
LONGEST_WAIT_S = 10.0
_FIRST_WAIT_S = 0.5
_MOST_REMEMBERED = 4096
_MOST_HOMES = 1024
_ADMITTED_WITHIN_S = 5.0
_SPENT_FOR_S = 60
_CACHED_TOKEN_PERCENT = 10


class Router:
    """``now`` is a clock in seconds that never goes back."""

    def __init__(self, rules: RoutingRules, metrics: Metrics, *, now: Callable[[], float] = time.monotonic) -> None:
        self.rules = rules
        self.now = now
        self.routed_at_s = -inf
        """When a call last had a choice."""
        self._metrics = metrics
        self.standings = Standings(rules.breaker, metrics, now)
        self._groups: dict[str, Group] = {}
        self._parts: dict[tuple[str, ...], Group] = {}
        self._budget = RetryBudget()
        self._nothing_set = not (
            rules.fallbacks
            or rules.context_window_fallbacks
            or rules.content_policy_fallbacks
            or rules.default_fallbacks
            or rules.num_retries
            or rules.client_fallbacks
            or rules.retry_policy
            or rules.model_retry_policies
            or rules.tag_filtering
        )
        self._log = get_logger()

    def begin(self, call: Call, asked: Asked, model: Model, wishes: Wishes = NO_WISHES) -> Route | None:
        """The way of a call, at its beginning; None where there is nothing to choose and nothing else to try.

        ``wishes`` is what the call itself says of it. A caller's own login is the same wherever it is tried, and what
        its plan refuses says nothing about us: one attempt, of which nothing is learned.

        Raises ModelNotAllowed where no deployment of the model is for calls of its tags.
        """
        if asked.principal.own_login:
            return None
        plain = wishes is NO_WISHES or not (wishes.fallbacks or wishes.retries)
        if plain and self._nothing_set and len(model.deployments) == 1 and model.deployments[0].retries is None:
            return None
        group = self._group(model)
        if group.plain and plain:
            return None
        route = Route(asked, model, group, self._settled, wishes)
        if group.sized:
            route.input_tokens = input_tokens(call.body)
        route.standings = route.standings_asked = self._eligible(route, group)
        route.left = self._further(route)
        if self.rules.session_affinity and len(route.standings) > 1:
            route.session = _session(call, asked)
        self.routed_at_s = self.now()
        self._budget.note_request(self.routed_at_s)
        return route

    def choose(self, route: Route) -> bool:
        """Choose for the next attempt among what may be called; False where all of the model is put aside."""
        now_s = self.now()
        standings = route.standings
        if route.tried:
            standings = [standing for standing in standings if standing not in route.tried]
        if self.standings.ejected or route.group.budgeted:
            standings = [standing for standing in standings if standing.may_be_called(now_s)]
        if not standings:
            return False
        self._take(route, self._pick(route, standings, now_s))
        return True

    def spent(self, route: Route, wait_s: int | None) -> None:
        """The budget of what was chosen is spent: others are chosen until it may have room again."""
        if route.current is not None:
            route.current.spent_until_s = self.now() + min(_SPENT_FOR_S if wait_s is None else wait_s, _SPENT_FOR_S)

    def last_resort(self, route: Route, model: Model, group: Group, admitted: Deployment | None) -> None:
        """Nothing of it may be called and nothing else may serve, and the call is to be answered: the one that it was
        admitted for, else the one whose time ends first, or that takes the longest prompts."""
        route.model, route.group = model, group
        standings = [one for one in route.standings_asked if one.deployment is admitted]
        standings = standings or list(route.standings_asked or group.standings)
        standings = [one for one in standings if one.spent_until_s <= self.now()] or standings
        self._take(route, min(standings, key=lambda one: (one.health.until_s, -(one.deployment.max_input_tokens or 0))))

    def despair(self, route: Route, failure: Failure) -> bool:
        """All that is well has failed: choose what is put aside of the model asked for, and was not tried yet, where
        there is any."""
        now_s = self.now()
        if failure.meaning.verdict == "give_up" or route.retries_set is not None or route.attempt >= MOST_ATTEMPTS:
            return False
        aside = [one for one in route.standings_asked if one not in route.tried and not one.health.may_be_called(now_s)]
        if not aside or not self._budget.take(now_s):
            return False
        route.model, route.group, route.left = route.model_asked, route.group_asked, 0
        self._take(route, min(aside, key=lambda standing: standing.health.until_s))
        return True

    def enter(self, route: Route, model: Model) -> bool:
        """Go on with another model; False where it was tried already, or nothing of it may be called.

        Raises ModelNotAllowed.
        """
        if model.name in route.visited:
            return False
        route.visited.add(model.name)
        route.model, route.group = model, self._group(model)
        route.standings = self._eligible(route, route.group)
        route.left, route.retried = self._further(route), 0
        return self.choose(route)

    def must_wait(self, route: Route, failure: Failure) -> bool:
        """There is a deployment that could answer, and for now no room among the retries: more traffic makes it."""
        now_s = self.now()
        return (
            self._may_try_again(route, failure)
            and not self._budget.has_room(now_s)
            and any(
                not standing.health.ejected and not standing.health.consecutive and standing not in route.tried
                for standing in route.standings
            )
        )

    def again(self, route: Route, failure: Failure) -> float | None:
        """Choose the next attempt on the same model: the seconds to wait before it, None where there is none."""
        if not self._may_try_again(route, failure):
            return None
        now_s = self.now()
        failed = route.tried[-1]
        others = [
            standing for standing in route.standings if standing not in route.tried and standing.may_be_called(now_s)
        ]
        wait_s = 0.0
        if not others:
            said_to = route.retries_set is not None and failure.meaning.verdict == "same"
            if not said_to and by_error_name(route.group.retry_policy, failure.kind) is None:
                return None
            wait_s = self._pause(route, failure)
            if wait_s > LONGEST_WAIT_S:
                return None
        if not self._budget.take(now_s):
            return None
        route.left -= 1
        route.retried += 1
        route.waits += not others
        self._take(route, self._pick(route, others, now_s) if others else failed)
        return wait_s

    def fallback(self, route: Route, failure: Failure | None) -> str | None:
        """The name of the next model that may serve instead; ``failure`` None: the model was put aside before."""
        if route.wishes.no_fallbacks:
            return None
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
                found = (*route.wishes.fallbacks, *found)
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
        if self.standings.ejected:
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
        self.standings.succeeded(route.current or route.tried[-1])

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
        self.standings.blame(route.group, standing, failure)

    def checked(self, model: Model, deployment: Deployment, failed: FailureKind | None) -> None:
        """What a health check of a deployment found: it counts like a call."""
        group, standing = self._group(model), self.standings.of(deployment)
        if group.plain:
            if failed is None:
                self.standings.answered_alone(deployment)
            else:
                self.standings.failed_alone(deployment, Failure(failed))
        elif failed is None:
            self.standings.succeeded(standing)
        else:
            self.standings.blame(group, standing, Failure(failed))

    def left(self, route: Route) -> None:
        """The attempt is over, however it ended. Safe to say twice."""
        standing = route.current
        if standing is not None:
            standing.running -= 1
            standing.health.probe_ends_s = 0
            route.current = None

    def _pick(self, route: Route, standings: Sequence[Standing], now_s: float) -> Standing:
        if len(standings) == 1:
            return standings[0]
        session, homes = route.session, route.group.homes
        nothing_in_the_way = standings is route.group.standings and not route.group.limited
        if session is not None and nothing_in_the_way and (home := homes.get(session)) is not None:
            if home.unanswered <= PATIENCE or home in heard_of(standings):
                return home
            nothing_in_the_way = False
        minute = minute_now()
        if route.group.limited:
            standings = [standing for standing in standings if standing.has_room(minute)] or standings
        if route.group.ordered:
            orders = [standing.order for standing in standings]
            first = min(orders)
            standings = [standing for standing, order in zip(standings, orders, strict=True) if order == first]
        found = choose(self.rules.strategy, standings, now_s, minute, random.random, session, self.rules.latency)
        if found.unanswered > PATIENCE and found not in (heard := heard_of(standings)) and heard:
            return choose(self.rules.strategy, heard, now_s, minute, random.random, session, self.rules.latency)
        if session is not None and nothing_in_the_way:
            if len(homes) >= _MOST_HOMES:
                homes.clear()
            homes[session] = found
        return found

    def overtaken(self, route: Route) -> bool:
        """What was chosen has been put aside since, while the call was being admitted: others have failed there."""
        return route.current is not None and route.current.health.ejected and not route.probes

    def _take(self, route: Route, standing: Standing) -> None:
        route.current = standing
        route.probes = standing.health.ejected
        # Until it goes out it is admitted, and meanwhile nobody else chooses the same to try whether it is back.
        standing.health.begin_probe(self.now(), _ADMITTED_WITHIN_S)
        if standing not in route.tried:
            route.tried.append(standing)
        else:
            route.tried.remove(standing)
            route.tried.append(standing)

    def _pause(self, route: Route, failure: Failure) -> float:
        """Twice as long each time, spread so that those who failed together do not come again together."""
        pause_s: float = _FIRST_WAIT_S * 2**route.waits * random.uniform(0.5, 1)  # noqa: S311  spreads load
        return max(min(pause_s, LONGEST_WAIT_S), self.rules.retry_after_s, failure.retry_after_s or 0)

    def _further(self, route: Route) -> int:
        """How many further attempts may be made on the model, whatever the failure."""
        wished, said = route.wishes.retries, route.group.attempts_set
        route.retries_set = said if wished is None else wished
        if route.retries_set is not None:
            return route.retries_set
        return min(len(route.standings) - 1, OTHERS_TRIED)

    def _may_try_again(self, route: Route, failure: Failure) -> bool:
        """By the policy for failures of its kind, where there is one."""
        if route.attempt >= MOST_ATTEMPTS:
            return False
        said = by_error_name(route.group.retry_policy, failure.kind) if route.group.retry_policy else None
        if said is not None:
            return route.retried < said
        return failure.meaning.verdict != "give_up" and route.left > 0

    def _eligible(self, route: Route, group: Group) -> Sequence[Standing]:
        """Of a model's deployments those that are for calls of these tags, and take a prompt so long: may be none.

        Raises ModelNotAllowed where the tags leave none.
        """
        standings = group.standings
        if group.tagged:
            tags = route.asked.tags
            standings = for_tags(standings, tags, match_any=self.rules.tag_match_any)
            if not standings:
                raise ModelNotAllowed(
                    f'no deployment of model "{route.asked.envelope.model}" is for calls with the tags '
                    f'{", ".join(tags)}; an admin can give one of them such a tag, or the tag "default"',
                    param="tags",
                )
        if group.sized:
            standings = [one for one in standings if one.takes(route.input_tokens)]
        return standings

    def _settled(self, route: Route, receipt: Receipt) -> None:
        standing = route.current
        if standing is None:
            return
        standing.tokens += receipt.usage.rate_tokens(_CACHED_TOKEN_PERCENT)
        if route.answered:
            if receipt.status == "error":
                self.standings.blame(route.group, standing, Failure("broken"))
            elif receipt.status == "ok":
                self.standings.succeeded(standing)
        self.left(route)

    def _group(self, model: Model) -> Group:
        group = self._groups.get(model.name)
        if group is not None and group.deployments is model.deployments:
            return group
        # Callers for whom some deployments are not, have a group of their own: of what serves them.
        part = (model.name, *(deployment.deployment_id for deployment in model.deployments))
        group = self._parts.get(part)
        if group is not None and all(map(is_, group.deployments, model.deployments)):
            self._groups[model.name] = group
            return group
        if self.standings.make_room() or len(self._parts) >= _MOST_REMEMBERED:
            self._groups, self._parts = {}, {}
        standings = [self.standings.of(deployment) for deployment in model.deployments]
        retries = [one.retries for one in model.deployments if one.retries is not None]
        attempts_set = max(retries) if retries else self.rules.num_retries
        fallbacks = self.rules.fallbacks_of(model.names, None)
        group = self._groups[model.name] = self._parts[part] = Group(model, standings, attempts_set, fallbacks)
        group.retry_policy = self.rules.retry_policy_of(model.names)
        group.tagged = self.rules.tag_filtering and any(one.tags for one in model.deployments)
        several = self.rules.has_fallbacks(model.names) or len(standings) > 1
        group.sized = self.rules.pre_call_checks and several and any(one.max_input_tokens for one in model.deployments)
        if self.rules.has_fallbacks(model.names) or any(group.retry_policy.values()) or group.tagged:
            group.plain = False
        return group


def minute_now() -> int:
    return int(time.time()) // 60


def _session(call: Call, asked: Asked) -> str | None:
    for name, value in call.headers:
        if name == SESSION_HEADER and value:
            return header_text(value)
    return asked.envelope.session_id
