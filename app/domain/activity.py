"""What people did in coding sessions, as their client counts it: commits, lines, edits, time."""

from datetime import date
from typing import Literal, NamedTuple, get_args

Measure = Literal[
    "sessions", "commits", "pull_requests", "lines_added", "lines_removed", "active_ms", "edits_accepted",
    "edits_rejected",
]  # fmt: skip
MEASURES: tuple[Measure, ...] = get_args(Measure)


class Reading(NamedTuple):
    """One number of a client's counters. ``source`` tells what it counts: the same series, since the same beginning.

    Of several readings of a source the greatest counts, so one that is said twice counts once. ``grows``: further ones
    come as long as the client runs; else none but the same again.
    """

    source: bytes
    session_id: str
    day: date
    measure: Measure
    value: int
    grows: bool


class Activity(NamedTuple):
    """In the order of ``MEASURES``."""

    sessions: int = 0
    commits: int = 0
    pull_requests: int = 0
    lines_added: int = 0
    lines_removed: int = 0
    active_ms: int = 0
    edits_accepted: int = 0
    edits_rejected: int = 0


NOTHING_DONE = Activity()
