"""What pages show of an alert: how bad it is, its words for people, and the page that shows more."""

import re

from app.admin.people import Person
from app.api.ui.segments import segment
from app.domain.alerts import AlertEvent

# The last sentences of an alert say which route a program would call.
_FOR_PROGRAMS = re.compile(r"(?:^|(?<=\.)\s+)[^.]*\b(?:POST|GET) /")


def level_of(event: AlertEvent) -> str:
    """bad or warn."""
    return "bad" if event.facts.get("threshold_percent") == 100 or event.kind == "deployment.ejected" else "warn"


def words_of(event: AlertEvent) -> str:
    """Without the sentences from the first on that names a route: a page leads there by itself."""
    found = _FOR_PROGRAMS.search(event.text)
    return event.text[: found.start()] if found else event.text


def address_of(event: AlertEvent, person: Person) -> str:
    """Of a page that this person may open."""
    kind, of = event.kind.partition(".")[0], event.facts
    if kind in ("model", "deployment", "provider") and person.may("settings.read"):
        return "/ui/models"
    if of.get("owner_kind", "key") == "key" and of.get("key_id"):
        return f"/ui/keys/{segment(str(of['key_id']))}"
    if of.get("owner_kind") == "team" and of.get("team_id"):
        return f"/ui/teams/{segment(str(of['team_id']))}"
    if kind == "budget":
        return "/ui/budgets"
    return "/ui/spend?by=key&span=7d"
