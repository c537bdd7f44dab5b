"""The metrics of Claude Code that say what was done: from points of OTLP to readings of activity.

https://code.claude.com/docs/en/monitoring-usage#metrics
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from app.domain.activity import Measure, Reading
from app.protocols.otlp.points import CUMULATIVE, DELTA, Point

_BY_NAME: Mapping[str, Measure] = {
    "claude_code.session.count": "sessions",
    "claude_code.commit.count": "commits",
    "claude_code.pull_request.count": "pull_requests",
    "claude_code.active_time.total": "active_ms",
}
# Those of which a label tells what they count.
_BY_LABEL: Mapping[str, tuple[str, Mapping[str, Measure]]] = {
    "claude_code.lines_of_code.count": ("type", {"added": "lines_added", "removed": "lines_removed"}),
    "claude_code.code_edit_tool.decision": ("decision", {"accept": "edits_accepted", "reject": "edits_rejected"}),
}
NAMES = frozenset((*_BY_NAME, *_BY_LABEL))
_SESSION = "session.id"
_LONGEST_SESSION_ID = 256
_MOST = 10**12
_MOST_READINGS = 2_000
_OLDEST, _NEWEST = timedelta(days=30), timedelta(days=1)


@dataclass(slots=True)
class Readings:
    """``refused`` counts the points that cannot be taken; ``reason`` is of the first of them."""

    taken: list[Reading] = field(default_factory=list)
    refused: int = 0
    reason: str = ""

    def refuse(self, reason: str) -> None:
        self.refused += 1
        self.reason = self.reason or reason


def read_activity(points: Iterable[Point], now: datetime) -> Readings:
    """Of the points whose metrics are in ``NAMES``. Those without a session id count in the session ``""``."""
    found = Readings()
    for point in points:
        measure = _measure(point)
        if measure is None or point.value is None:
            continue
        if point.temporality not in (DELTA, CUMULATIVE):
            found.refuse(f"{point.metric} says no aggregation temporality")
        elif (value := _value(measure, point.value)) is None:
            found.refuse(f"{point.metric} is {point.value}; it must be a number from 0 to {_MOST}")
        elif (day := _day(point, now)) is None:
            found.refuse(f"{point.metric} is of another time than the last {_OLDEST.days} days")
        elif len(found.taken) == _MOST_READINGS:
            found.refuse(f"there are more than {_MOST_READINGS} points of activity in one export")
        elif value > 0:
            session_id = point.labels.get(_SESSION, "").replace("\0", "")[:_LONGEST_SESSION_ID]
            grows = point.temporality == CUMULATIVE
            found.taken.append(Reading(_source(point), session_id, day, measure, value, grows))
    return found


def _measure(point: Point) -> Measure | None:
    if point.metric in _BY_LABEL:
        label, measures = _BY_LABEL[point.metric]
        return measures.get(point.labels.get(label, ""))
    return _BY_NAME.get(point.metric)


def _value(measure: Measure, value: float) -> int | None:
    if not math.isfinite(value) or not 0 <= value <= _MOST:
        return None
    return round(value * 1000) if measure == "active_ms" else round(value)


def _day(point: Point, now: datetime) -> date | None:
    """Of UTC; now where the point says no time."""
    if point.time_ns <= 0:
        return now.date()
    try:
        at = datetime.fromtimestamp(point.time_ns // 10**9, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return at.date() if now - _OLDEST < at < now + _NEWEST else None


def _source(point: Point) -> bytes:
    """A cumulative counter grows from its start on; each delta is a counter of its own, from its start to its time."""
    start = f"{point.start_ns}" if point.temporality == CUMULATIVE else f"{point.start_ns} {point.time_ns}"
    digest = hashlib.blake2b(f"{point.metric}\0{start}\0".encode(), digest_size=16)
    digest.update(point.identity)
    return digest.digest()
