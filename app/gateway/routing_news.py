"""What the processes tell one another of the deployments: in the background, once a second, and by lengths of time."""

from collections import defaultdict
from typing import NamedTuple

import msgspec

from app.domain.routing import Standing
from app.gateway.ports import RoutingBoard
from app.gateway.router import Router, minute_now

_FORGOTTEN_AFTER_S = 10
_TOLD_FOR_S = 600
_QUIET_AFTER_S = 60


class Said(msgspec.Struct, frozen=True, array_like=True):
    """Of one deployment, by one process. ``left_s`` is how long it is put aside yet, ``since_s`` how long ago that or
    the opposite happened. Fields may only be added at the end, with a default."""

    deployment_id: str
    running: int
    minute: int
    requests: int
    tokens: int
    ejected: bool
    left_s: float
    since_s: float
    ejections: int
    reason: str


class News(msgspec.Struct, frozen=True, array_like=True):
    """``number`` is another one each time: so whoever repeats itself is known to be gone."""

    number: int
    said: tuple[Said, ...]


class _Process(NamedTuple):
    number: int
    heard_s: float


class RoutingNews:
    def __init__(self, router: Router, board: RoutingBoard) -> None:
        self._router = router
        self._board = board
        self._number = 0
        self._processes: dict[str, _Process] = {}
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(News).decode

    async def exchange(self) -> None:
        """Say what is known here, hear what is known elsewhere; nothing while no call has had a choice of late.

        Raises StorageUnavailable, after which each process goes on by what it knows itself.
        """
        now_s = self._router.now()
        if now_s - self._router.routed_at_s > _QUIET_AFTER_S:
            return
        self._number += 1
        others = await self._board.exchange(self._encode(self.news(self._number)))
        gone = []
        told: list[Said] = []
        for process, payload in others.items():
            try:
                news = self._decode(payload)
            except msgspec.DecodeError:
                continue  # of a process of another version
            known = self._processes.get(process)
            if known is None or known.number != news.number:
                self._processes[process] = known = _Process(news.number, now_s)
            if now_s - known.heard_s > _FORGOTTEN_AFTER_S:
                gone.append(process)
            else:
                told += news.said
        self.hear(told)
        if gone:
            await self._board.forget(gone)
            for process in gone:
                del self._processes[process]

    def news(self, number: int) -> News:
        now_s, minute = self._router.now(), minute_now()
        said = tuple(
            _said(standing, now_s)
            for standing in self._router.standings
            if standing.running or standing.minute == minute or now_s - standing.health.changed_s < _TOLD_FOR_S
        )
        return News(number, said)

    def hear(self, told: list[Said]) -> None:
        """All that all others say now: what they do not say any more is no more."""
        now_s, minute = self._router.now(), minute_now()
        by_deployment: dict[str, list[Said]] = defaultdict(list)
        for one in told:
            by_deployment[one.deployment_id].append(one)
        for standing in self._router.standings:
            said = by_deployment.get(standing.deployment.deployment_id, [])
            if standing.minute != minute:
                standing.turn_to(minute)
            standing.others_running = sum(one.running for one in said)
            standing.others_requests = sum(one.requests for one in said if one.minute == minute)
            standing.others_tokens = sum(one.tokens for one in said if one.minute == minute)
            latest = min(said, key=lambda one: one.since_s, default=None)
            if latest is not None and latest.since_s < _TOLD_FOR_S:
                self._adopt(standing, latest, now_s)

    def _adopt(self, standing: Standing, said: Said, now_s: float) -> None:
        """Of two that differ the later one is right."""
        health = standing.health
        if said.ejected == health.ejected or now_s - said.since_s <= health.changed_s:
            return
        health.ejected, health.ejections, health.changed_s = said.ejected, said.ejections, now_s - said.since_s
        health.until_s, health.reason, health.consecutive = now_s + said.left_s, said.reason, 0
        self._router.standings.changed(standing, came_back=not said.ejected)


def _said(standing: Standing, now_s: float) -> Said:
    health = standing.health
    return Said(
        standing.deployment.deployment_id,
        standing.running,
        standing.minute,
        standing.requests,
        standing.tokens,
        health.ejected,
        max(0, health.until_s - now_s),
        min(now_s - health.changed_s, _TOLD_FOR_S),
        health.ejections,
        health.reason,
    )
