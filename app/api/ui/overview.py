"""The first page after sign-in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.alerts import Alerts
from app.admin.overview import Overview, Overviews
from app.admin.people import Person
from app.admin.spend import Spend
from app.admin.spend_explorer import MOST_SERIES
from app.api.ui.access import Pages
from app.api.ui.alert_words import address_of, level_of, words_of
from app.api.ui.charts import Chart, Stack, stacked
from app.api.ui.machine import Trouble
from app.api.ui.models import ModelDesk
from app.api.ui.spend import change_of
from app.domain.alerts import AlertEvent

AnyRequest = Request[Any, Any, Any]
_MOST_LOOKS = 5


@dataclass(frozen=True, slots=True)
class Look:
    """Something that needs a look, and the page that shows more. ``level`` is bad or warn."""

    level: str
    title: str
    text: str
    address: str
    event: AlertEvent | None = None


class OverviewPages(Controller):
    include_in_schema = False

    @get("/ui")
    async def overview(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        spend: NamedDependency[Spend],
        alerts: NamedDependency[Alerts],
        model_desk: NamedDependency[ModelDesk],
    ) -> Response[bytes]:
        person = await pages.signed_in_person(request)
        tenant = person.tenant("spend.reports")
        if tenant is None:  # an auditor, who sees no spend
            return pages.go("/ui/audit" if person.may("audit.read") else "/ui/account")
        found = await Overviews(spend, alerts).overview(tenant, person.tenant("alert.read"))
        troubled = model_desk.machine.troubled() if person.may("settings.read") else ()
        values: dict[str, Any] = {"found": found, "chart": _chart(found), "looks": _looks(found, person, troubled)}
        values["sees_alerts"] = person.may("alert.read")
        return pages.show(request, "overview.html", person, change_of=change_of, **values)


def _chart(found: Overview) -> Chart:
    days = [day.isoformat() for day, _ in found.days]
    stacks = [
        Stack(share.name, costs, address=f"/ui/spend?{urlencode({'by': 'team', 'model': share.id})}")
        for share, costs in found.models_by_day[: MOST_SERIES - 1]
    ]
    told = [sum(stack.costs_nanousd[place] for stack in stacks) for place in range(len(days))]
    rest = [amounts.cost_nanousd - of_day for (_, amounts), of_day in zip(found.days, told, strict=True)]
    if any(rest):
        stacks.append(Stack("Others", rest, is_others=True))
    return stacked(days, "day", stacks)


def _looks(found: Overview, person: Person, troubled: Sequence[Trouble]) -> list[Look]:
    """What is so now comes before what was told in the last days."""
    looks = [
        Look(
            "bad" if trouble["state"] == "ejected" else "warn",
            f"{trouble['deployment']} is {'put aside' if trouble['state'] == 'ejected' else 'not well'}",
            f"{trouble['failures_in_a_row']} failures in a row: {trouble['reason']}",
            "/ui/models",
        )
        for trouble in troubled
    ]
    looks += [
        Look(
            "warn",
            f"{model} has no price",
            f"{count} of the latest calls cost the fallback, which is high on purpose",
            f"/ui/models/one?name={quote(model, safe='')}",
        )
        for model, count in found.unpriced.items()
    ]
    told = found.alerts[: max(_MOST_LOOKS - len(looks), 1)]
    return looks + [
        Look(level_of(event), event.title, words_of(event), address_of(event, person), event) for event in told
    ]
