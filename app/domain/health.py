"""Whether a deployment is to be called: a circuit breaker, and how much may be tried again. Time is given, in s."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from app.domain.failures import FailureKind, by_error_name

HealthState = Literal["healthy", "failing", "ejected", "probing"]

_WINDOW_S = 60
_LONGEST_S = 300
_FORGOTTEN_AFTER_S = 300
"""A deployment that was healthy for so long is put aside as if it never had been before."""
_MOST_DOUBLINGS = 6
_HALF_LIFE_S = 30
_FADES_EVERY_S = 1


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """LiteLLM's: a deployment is put aside for ``cooldown_s`` when it has failed more than ``allowed_fails`` times.
    ``allowed_by_error``: failures of that name alone count, and so many of them in a minute are allowed."""

    allowed_fails: int = 3
    cooldown_s: float = 5
    disabled: bool = False
    allowed_by_error: Mapping[str, int] = field(default_factory=dict)

    def allowed_of(self, kind: FailureKind) -> int | None:
        return by_error_name(self.allowed_by_error, kind) if self.allowed_by_error else None


@dataclass(slots=True)
class Health:
    """Of one deployment. ``changed_s`` is when it was put aside or came back."""

    consecutive: int = 0
    ejected: bool = False
    until_s: float = 0
    probe_ends_s: float = 0
    ejections: int = 0
    changed_s: float = -math.inf
    reason: str = ""
    _failures: int = 0
    _successes: int = 0
    _window_ends_s: float = 0
    _by_kind: Counter[FailureKind] = field(default_factory=Counter)

    def state(self, now_s: float) -> HealthState:
        if not self.ejected:
            return "failing" if self.consecutive else "healthy"
        return "ejected" if now_s < self.until_s else "probing"

    def may_be_called(self, now_s: float) -> bool:
        """Put aside, it may be again when its time has passed: by one call, whose end decides."""
        return not self.ejected or (now_s >= self.until_s and now_s >= self.probe_ends_s)

    def begin_probe(self, now_s: float, lasts_s: float) -> None:
        """A call goes out to it; while it was put aside no other one does, unless this one takes longer than that."""
        if self.ejected:
            self.probe_ends_s = max(self.probe_ends_s, now_s + lasts_s)

    def has_failed_enough(self, now_s: float, rules: BreakerRules) -> bool:
        """Note a failure; whether it was one too many: in a row, or of a minute of which at least half have failed."""
        if now_s >= self._window_ends_s:
            self._window_ends_s, self._failures, self._successes = now_s + _WINDOW_S, 0, 0
            self._by_kind.clear()
        self.consecutive += 1
        self._failures += 1
        of_minute = self._failures > rules.allowed_fails and self._failures >= self._successes
        return self.ejected or of_minute or self.consecutive > rules.allowed_fails

    def count_of(self, kind: FailureKind) -> int:
        """Note what kind of failure the last one was; how many of it there were in this minute."""
        self._by_kind[kind] += 1
        return self._by_kind[kind]

    def eject(self, now_s: float, rules: BreakerRules, reason: str, at_least_s: float = 0) -> bool:
        """Put aside: each time twice as long, up to five minutes. False where it was already, and its time runs."""
        if self.ejected and now_s < self.until_s:
            self.until_s = max(self.until_s, now_s + min(at_least_s, _LONGEST_S))
            return False
        if not self.ejected and now_s - self.changed_s > _FORGOTTEN_AFTER_S:
            self.ejections = 0
        was = self.ejected
        lasts_s = rules.cooldown_s * 2 ** min(self.ejections, _MOST_DOUBLINGS)
        self.ejections += 1
        self.ejected, self.reason, self.changed_s, self.probe_ends_s = True, reason, now_s, 0
        self.until_s = now_s + min(max(lasts_s, at_least_s), _LONGEST_S)
        return not was

    def succeed(self, now_s: float) -> bool:
        """An answer has come to its end; whether it comes back by that."""
        self.consecutive = 0
        self._successes += 1
        if not self.ejected:
            return False
        self.ejected, self.changed_s, self._failures, self._successes = False, now_s, 0, 1
        return True


class RetryBudget:
    """Further attempts as a share of recent traffic, so that an outage is not made worse by us.

    Where that share is less than ``floor``, so many are allowed: little traffic has no share to speak of. What is
    recent fades, by half in half a minute.
    """

    __slots__ = ("_at_s", "_floor", "_percent", "_requests", "_retries")

    def __init__(self, percent: int = 20, floor: int = 30) -> None:
        self._percent, self._floor = percent, floor
        self._requests: float = 0
        self._retries: float = 0
        self._at_s: float = 0

    def note_request(self, now_s: float) -> None:
        if now_s - self._at_s > _FADES_EVERY_S:
            self._fade(now_s)
        self._requests += 1

    def has_room(self, now_s: float) -> bool:
        self._fade(now_s)
        return self._retries + 1 <= max(self._floor, self._requests * self._percent / 100)

    def take(self, now_s: float) -> bool:
        """Whether one more attempt may be made; it is counted then."""
        if not self.has_room(now_s):
            return False
        self._retries += 1
        return True

    def _fade(self, now_s: float) -> None:
        kept = 2 ** -(max(now_s - self._at_s, 0) / _HALF_LIFE_S)
        self._requests, self._retries, self._at_s = self._requests * kept, self._retries * kept, now_s
