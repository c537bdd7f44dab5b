"""The finance routes together."""

from litestar.types import ControllerRouterHandler

from app.api.finance.activity import ActivityRoutes
from app.api.finance.aggregates import AggregateRoutes
from app.api.finance.reports import ReportRoutes
from app.api.finance.spend import SpendRoutes
from app.api.finance.totals import TotalRoutes


def finance_routes() -> list[ControllerRouterHandler]:
    return [SpendRoutes, TotalRoutes, ActivityRoutes, ReportRoutes, AggregateRoutes]
