"""How many calls run in this process at once: who waits for a place, how long, and who is refused."""

import asyncio
from collections import deque
from dataclasses import dataclass

from app.base.errors import Overloaded
from app.base.metrics import Metrics
from app.domain.access import Principal
from app.domain.tenancy import scope_of

_RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class OverloadRules:
    """``most_running`` places are there; the first half is for who comes first, and of the other half one tenant has at
    most ``most_of_tenant``. ``most_waiting`` calls wait for one, half of them of one tenant, each for ``wait_s``."""

    most_running: int = 2000
    most_of_tenant: int = 500
    most_waiting: int = 1000
    wait_s: float = 10


class Gate:
    """One place for each call on the model routes, from its authentication to its last byte.

    Where it is calm, a place is a number that goes up. Tenants are told apart only above half of the places.
    """

    def __init__(self, rules: OverloadRules, metrics: Metrics) -> None:
        self._rules = rules
        self._metrics = metrics
        self._calm = rules.most_running // 2
        self._shed_from = rules.most_running - rules.most_running // 5
        self._running = 0
        self._waiting = 0
        self._of_tenant: dict[str, int] = {}
        # The tenant that waits longest for its turn comes first.
        self._queues: dict[str, deque[asyncio.Future[str | None]]] = {}

    @property
    def sheds_reads(self) -> bool:
        """Whether reports and pages are to wait for quieter times."""
        return self._running >= self._shed_from or self._waiting > 0

    def enter_calm(self) -> bool:
        """Take a place where there are plenty."""
        if self._running >= self._calm:
            return False
        self._running += 1
        return True

    async def enter(self, principal: Principal) -> str | None:
        """Take a place, or wait for one; returns what ``leave`` is to be told. Raises Overloaded."""
        tenant = _tenant(principal)
        if tenant not in self._queues and self._has_place(tenant):
            return self._take(tenant)
        queue = self._queues.get(tenant)
        most = self._rules.most_waiting
        if self._waiting >= most or (queue is not None and 2 * len(queue) >= most):
            raise self._refusal("too many wait already")
        place: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(tenant, deque()).append(place)
        self._count_waiting(1)
        try:
            await asyncio.wait((place,), timeout=self._rules.wait_s)
        except BaseException:
            if place.done():
                self.leave(place.result())
            else:
                self._give_up(tenant, place)
            raise
        if place.done():
            return place.result()
        self._give_up(tenant, place)
        raise self._refusal(f"none became free within {self._rules.wait_s:g} s")

    def leave(self, counted: str | None) -> None:
        """Give the place back; ``counted`` is what ``enter`` returned, None after ``enter_calm``."""
        self._running -= 1
        if counted is not None:
            left = self._of_tenant[counted] - 1
            if left:
                self._of_tenant[counted] = left
            else:
                del self._of_tenant[counted]
        if self._queues:
            self._call_in()

    def _has_place(self, tenant: str) -> bool:
        if self._running < self._calm:
            return True
        return self._running < self._rules.most_running and (
            self._of_tenant.get(tenant, 0) < self._rules.most_of_tenant
        )

    def _take(self, tenant: str) -> str | None:
        self._running += 1
        if self._running <= self._calm:
            return None
        self._of_tenant[tenant] = self._of_tenant.get(tenant, 0) + 1
        return tenant

    def _call_in(self) -> None:
        """Places for those who wait: each tenant in its turn, so that a long queue holds up nobody else's."""
        for tenant in list(self._queues):
            if not self._has_place(tenant):
                continue
            queue = self._queues.pop(tenant)
            queue.popleft().set_result(self._take(tenant))
            self._count_waiting(-1)
            if queue:
                self._queues[tenant] = queue  # behind the others now

    def _give_up(self, tenant: str, place: asyncio.Future[str | None]) -> None:
        queue = self._queues[tenant]
        queue.remove(place)
        self._count_waiting(-1)
        if not queue:
            del self._queues[tenant]

    def _count_waiting(self, change: int) -> None:
        self._waiting += change
        self._metrics.waiting.inc(change)

    def _refusal(self, why: str) -> Overloaded:
        return Overloaded(
            f"this gateway is busy: {self._running} calls run in this process, and {why}; try again in "
            f"{_RETRY_AFTER_S} s. An admin can add replicas, or raise KEYHOUSE_MAX_RUNNING_REQUESTS",
            retry_after_s=_RETRY_AFTER_S,
        )


def _tenant(principal: Principal) -> str:
    key = principal.key
    return key.key_id if key.team_id is None else scope_of("team", key.team_id)


def reads_refused() -> Overloaded:
    return Overloaded(
        "this gateway is busy with model calls, so reports and pages wait; try again in "
        f"{_RETRY_AFTER_S} s. Changes are still taken",
        retry_after_s=_RETRY_AFTER_S,
    )
