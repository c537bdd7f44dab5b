"""The first page after sign-in."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.alerts import Alerts
from app.admin.overview import Overviews
from app.admin.spend import Spend
from app.api.ui.access import Pages
from app.api.ui.charts import Stack, stacked

AnyRequest = Request[Any, Any, Any]


class OverviewPages(Controller):
    include_in_schema = False

    @get("/ui")
    async def overview(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        spend: NamedDependency[Spend],
        alerts: NamedDependency[Alerts],
    ) -> Response[bytes]:
        person = await pages.signed_in_person(request)
        tenant = person.tenant("spend.reports")
        if tenant is None:  # an auditor, who sees no spend
            return pages.go("/ui/audit" if person.tenant("audit.read") is not None else "/ui/account")
        found = await Overviews(spend, alerts).overview(tenant, person.tenant("alert.read"))
        costs = [amounts.cost_nanousd for _, amounts in found.days]
        chart = stacked([day.isoformat() for day, _ in found.days], "day", [Stack("Spend", costs)])
        return pages.show(request, "overview.html", person, found=found, chart=chart)
