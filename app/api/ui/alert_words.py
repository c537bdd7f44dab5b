"""What pages show of an alert: how bad it is, its words for people, and the page that shows more."""

import re
from collections.abc import Sequence
from urllib.parse import urlencode

from app.admin.people import Person
from app.api.ui.segments import segment
from app.domain.alerts import AlertEvent
from app.domain.roles import EVERYTHING

# The last sentences of an alert say which route a program would call.
_FOR_PROGRAMS = re.compile(r"(?:^|(?<=\.)\s+)[^.]*\b(?:POST|PUT|GET) /")

# Dollars and periods as mails write them, and as pages do.
_AS_PAGES_SAY: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"\b([\d,]+\.\d+) of ([\d,]+\.\d+) USD\b"), r"$\1 of $\2"),
    (re.compile(r"\b([\d,]+\.\d+) USD\b"), r"$\1"),
    (re.compile(r"(?<=\d) per (?=(day|week|month|quarter|year) spent\b)"), " a "),
    (re.compile(r"\bresets on\b"), "starts anew on"),
)


def level_of(event: AlertEvent) -> str:
    """bad or warn."""
    return "bad" if event.facts.get("threshold_percent") == 100 or event.kind == "deployment.ejected" else "warn"


def words_of(event: AlertEvent) -> str:
    """Without the sentences from the first on that names a route: a page leads there by itself."""
    found = _FOR_PROGRAMS.search(event.text)
    words = event.text[: found.start()] if found else event.text
    for written, shown in _AS_PAGES_SAY:
        words = written.sub(shown, words)
    return words


def address_of(event: AlertEvent, person: Person) -> str:
    """Of a page that this person may open."""
    kind, of = event.kind.partition(".")[0], event.facts
    if kind in ("model", "deployment", "provider") and person.may("settings.read"):
        return "/ui/models"
    if of.get("owner_kind", "key") == "key" and of.get("key_id"):
        return f"/ui/keys/{segment(str(of['key_id']))}"
    if of.get("owner_kind") == "team" and of.get("team_id"):
        return f"/ui/teams/{segment(str(of['team_id']))}"
    if of.get("owner_kind") == "access_group" and person.tenant("key.read") == EVERYTHING:
        return f"/ui/budgets?{urlencode({'level': 'group', 'q': str(of['access_group'])})}"
    if kind == "budget":
        return "/ui/budgets"
    return "/ui/spend?by=key&span=7d"
