"""The finance routes together."""

from litestar.types import ControllerRouterHandler

from app.api.finance.activity import ActivityRoutes
from app.api.finance.aggregates import AggregateRoutes
from app.api.finance.calculate import CalculateRoutes
from app.api.finance.closing import ClosingRoutes
from app.api.finance.logs import LogRoutes
from app.api.finance.owners import OwnerRoutes
from app.api.finance.productivity import ProductivityRoutes
from app.api.finance.reports import ReportRoutes
from app.api.finance.repricing import RepriceRoutes
from app.api.finance.retention import RetentionRoutes
from app.api.finance.sessions import SessionRoutes
from app.api.finance.spend import SpendRoutes
from app.api.finance.totals import TotalRoutes


def finance_routes() -> list[ControllerRouterHandler]:
    return [
        SpendRoutes,
        LogRoutes,
        TotalRoutes,
        ActivityRoutes,
        ReportRoutes,
        SessionRoutes,
        ProductivityRoutes,
        OwnerRoutes,
        AggregateRoutes,
        RepriceRoutes,
        CalculateRoutes,
        ClosingRoutes,
        RetentionRoutes,
    ]
