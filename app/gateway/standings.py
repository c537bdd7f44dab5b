"""Where every deployment stands in this process: what each failure means for it, and what is put aside."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil
from typing import Any

from app.base import clock
from app.base.logs import get_logger
from app.base.metrics import Metrics
from app.domain.catalog import Deployment
from app.domain.failures import Failure
from app.domain.health import BreakerRules, Health
from app.domain.routing import Standing, credential_of
from app.gateway.route import Group

_MOST_REMEMBERED = 4096


class Standings:
    """``now`` is a clock in seconds that never goes back."""

    def __init__(self, rules: BreakerRules, metrics: Metrics, now: Callable[[], float]) -> None:
        self.on_change: Callable[[Deployment, Health], None] | None = None
        """Told when a deployment is put aside or comes back; it returns at once."""
        self.ejected = 0
        """How many are put aside."""
        self._rules = rules
        self._metrics = metrics
        self._now = now
        self._by_deployment: dict[str, Standing] = {}
        self._log = get_logger()

    def __iter__(self) -> Iterator[Standing]:
        return iter(self._by_deployment.values())

    def of(self, deployment: Deployment) -> Standing:
        standing = self._by_deployment.get(deployment.deployment_id)
        if standing is not None and standing.deployment is deployment:
            return standing
        rates = deployment.prices.at(clock.now()).rates
        price = rates.input + rates.output
        if standing is None:
            standing = self._by_deployment[deployment.deployment_id] = Standing(deployment, price)
        elif standing.deployment != deployment:
            standing.deployment, standing.price = deployment, price
        return standing

    def find(self, deployment: Deployment) -> Standing | None:
        return self._by_deployment.get(deployment.deployment_id)

    def make_room(self) -> bool:
        """Names that a wildcard takes are without end; what was known of each is learned again. Whether it was all
        forgotten."""
        if len(self._by_deployment) < _MOST_REMEMBERED:
            return False
        self._by_deployment.clear()
        self.ejected = 0
        return True

    def troubled(self) -> Iterator[tuple[Deployment, Health]]:
        """The deployments that are put aside, or whose last call has failed."""
        for standing in self:
            if standing.health.ejected or standing.health.consecutive:
                yield standing.deployment, standing.health

    def succeeded(self, standing: Standing) -> None:
        if standing.health.succeed(self._now()):
            self.changed(standing, came_back=True)

    def failed_alone(self, deployment: Deployment, failure: Failure) -> None:
        """A model with one deployment and nothing else to try: only noted, as nothing could take its place."""
        if failure.meaning.blame != "nobody":
            self.make_room()
            health = self.of(deployment).health
            health.consecutive += 1
            health.reason = failure.kind

    def answered_alone(self, deployment: Deployment) -> None:
        standing = self.find(deployment)
        if standing is not None:
            standing.health.consecutive = 0

    def blame(self, group: Group, standing: Standing, failure: Failure) -> None:
        """What a failed attempt means for who is to blame for it."""
        blame, now_s, health, rules = failure.meaning.blame, self._now(), standing.health, self._rules
        allowed = rules.allowed_of(failure.kind)
        if blame == "nobody" and allowed is None:
            self.succeeded(standing)  # whoever refuses what is wrong with a call is well
            return
        enough = health.has_failed_enough(now_s, rules)
        health.reason = failure.kind
        at_once = blame in ("limit", "credential")
        if allowed is not None:
            at_once, enough = False, health.ejected or health.count_of(failure.kind) > allowed
        if rules.disabled or not (at_once or enough):
            return
        if blame == "credential":
            for other in list(self):
                if credential_of(other.deployment) == credential_of(standing.deployment):
                    self._eject(other, failure)
        elif blame == "limit" or health.ejected or self._may_eject(group):
            self._eject(standing, failure)

    def changed(self, standing: Standing, *, came_back: bool) -> None:
        """It was put aside, here or by another process, or it came back: said, and counted."""
        deployment, health = standing.deployment, standing.health
        self.ejected = max(self.ejected + (-1 if came_back else 1), 0)
        state = "healthy" if came_back else "ejected"
        self._metrics.child(
            self._metrics.deployment_changes, deployment.deployment_id, deployment.provider, state
        ).inc()
        facts: dict[str, Any] = {"deployment": deployment.deployment_id, "provider": deployment.provider}
        if came_back:
            self._log.info("deployment is called again", **facts)
        else:
            for_s = round(health.until_s - self._now(), 1)
            self._log.warning("deployment is put aside", reason=health.reason, for_s=for_s, **facts)
        if self.on_change is not None:
            self.on_change(deployment, health)

    def _may_eject(self, group: Group) -> bool:
        """At most half of a model's deployments, rounded up, are put aside for their failures: when more of them fail,
        it is likely not they that are at fault, and the rest would get all the load. A fallback takes it otherwise."""
        if group.may_be_all_aside:
            return True
        put_aside = sum(standing.health.ejected for standing in group.standings)
        return put_aside < ceil(len(group.standings) / 2)

    def _eject(self, standing: Standing, failure: Failure) -> None:
        rules, cooldown_s = self._rules, standing.deployment.cooldown_s
        if cooldown_s is not None:
            rules = replace(rules, cooldown_s=cooldown_s)
        if rules.cooldown_s <= 0:
            return
        if standing.health.eject(self._now(), rules, failure.kind, failure.retry_after_s or 0):
            self.changed(standing, came_back=False)
