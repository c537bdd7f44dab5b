"""All pages, with what they stand on."""

from collections.abc import Callable
from dataclasses import dataclass

from litestar import Router
from litestar.di import NamedDependency, Provide
from litestar.types import ControllerRouterHandler
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.budget_board import BudgetBoard
from app.admin.cost_centers import CostCenters
from app.admin.issuer_logout import IssuerLogout
from app.admin.key_reading import KeyReading
from app.admin.keys import Keys
from app.admin.model_audience import ModelAudience
from app.admin.model_overview import ModelOverview
from app.admin.models import Models
from app.admin.naming import Naming
from app.admin.organizations import Organizations
from app.admin.password_reset import PasswordReset
from app.admin.passwords import Passwords
from app.admin.people import People
from app.admin.playground_keys import PlaygroundKeys
from app.admin.post import Post
from app.admin.price_preview import PricePreview
from app.admin.price_view import PriceView
from app.admin.prices import PriceAdmin
from app.admin.saved_views import SavedViews
from app.admin.single_sign_on import SingleSignOn
from app.admin.spend import Spend
from app.api.plain_litestar import Given
from app.api.ui.access import Outside, Pages
from app.api.ui.account import AccountPages
from app.api.ui.alerts import AlertPages
from app.api.ui.assets import serve_asset
from app.api.ui.audit import AuditPages
from app.api.ui.budget_tags import TagPages
from app.api.ui.budgets import BudgetPages
from app.api.ui.connect import ConnectPages
from app.api.ui.credentials import CredentialPages
from app.api.ui.device import DevicePages
from app.api.ui.errors import no_such_page
from app.api.ui.forms import in_words
from app.api.ui.issuer_logout import IssuerLogoutRoute
from app.api.ui.key_edit import KeyEditPages
from app.api.ui.key_obstacles import KeyObstacles
from app.api.ui.keys import KeyPages
from app.api.ui.machine import Machine
from app.api.ui.models import ModelDesk, ModelPages
from app.api.ui.months import MonthPages
from app.api.ui.my_limits import MyLimitsPages
from app.api.ui.my_spend import MySpendPages
from app.api.ui.organization_prices import PriceDesk
from app.api.ui.overview import OverviewPages
from app.api.ui.own_keys import OwnKeys
from app.api.ui.playground import PlaygroundPages, PlaygroundStream
from app.api.ui.rendering import Templates
from app.api.ui.requests import RequestPages
from app.api.ui.saved_views import SavedViewPages
from app.api.ui.settings import SettingsPages
from app.api.ui.sign_in import INVITATION, SignInPages
from app.api.ui.sign_out import SignOutPages
from app.api.ui.single_sign_on import SingleSignOnPages
from app.api.ui.spend import SpendPages
from app.api.ui.tenancy import TENANCY_PAGES, Desk
from app.domain.catalog import Catalog
from app.gateway.last_refusals import LastRefusals
from app.identity.issuer import Issuer
from app.identity.rules import SingleSignOnRules
from app.notify.sender import Sender
from app.providers.provider import Upstream
from app.storage.principals import Principals


@dataclass(frozen=True, slots=True)
class PageRules:
    """What the settings say: single sign-on and what carries it, whether passwords are taken, how we are reached, and
    what carries mail."""

    single_sign_on: SingleSignOnRules | None = None
    http: Upstream | None = None
    sender: Sender | None = None
    takes_passwords: bool = True
    public_url: str | None = None


def make_pages(
    engine: AsyncEngine, principals: Principals, master_key: str, passwords: Passwords, rules: PageRules = PageRules()
) -> Pages:
    people = People(engine, principals.pepper, master_key, passwords, takes_passwords=rules.takes_passwords)
    single_sign_on, issuer_logout = None, None
    if rules.single_sign_on is not None and rules.http is not None:
        issuer = Issuer(rules.http, rules.single_sign_on.issuer)
        single_sign_on = SingleSignOn(engine, principals, people.sessions, issuer, rules.single_sign_on)
        issuer_logout = IssuerLogout(engine, principals.pepper, issuer)
    post = None if rules.sender is None or not rules.sender.takes_mail else Post(rules.sender)
    reset, public_url = None, rules.public_url
    if post is not None and public_url is not None and rules.takes_passwords:
        base = public_url.rstrip("/")
        reset = PasswordReset(engine, principals.pepper, people, post, lambda token: f"{base}{INVITATION}/{token}")
    outside = Outside(single_sign_on, issuer_logout, post, reset, public_url)
    return Pages(people, Templates({"in_words": in_words}), outside)


def page_routes(
    pages: Pages,
    engine: AsyncEngine,
    principals: Principals,
    catalog: Callable[[], Catalog],
    refusals: LastRefusals,
    machine: Machine,
) -> Router:
    """For ``route_handlers``. The app must give the services too, as ``admin_dependencies`` names them, and show the
    errors of these paths by ``page_error_handler``."""
    naming = Naming(engine)
    own_keys = OwnKeys(KeyReading(engine, principals.pepper), Spend(engine), principals, catalog, refusals)
    audience = ModelAudience(engine)
    board = BudgetBoard(engine, machine.counters, machine.platform.budgets if machine.platform else (), catalog)

    def model_desk(
        models: NamedDependency[Models],
        price_view: NamedDependency[PriceView],
        price_admin: NamedDependency[PriceAdmin],
        spend: NamedDependency[Spend],
    ) -> ModelDesk:
        overview = ModelOverview(models.catalog, price_view, spend)
        return ModelDesk(overview, audience, price_admin, spend, machine, board)

    def price_desk(
        organizations: NamedDependency[Organizations],
        price_view: NamedDependency[PriceView],
        price_admin: NamedDependency[PriceAdmin],
        spend: NamedDependency[Spend],
    ) -> PriceDesk:
        return PriceDesk(organizations, price_admin, PricePreview(price_admin, price_view, spend))

    saved_views = SavedViews(engine)
    desk, key_obstacles = Desk(engine, naming, catalog), KeyObstacles(engine, principals)
    playground_keys = PlaygroundKeys(engine, principals, Keys(engine, principals, principals.pepper, catalog), catalog)
    at_play: tuple[ControllerRouterHandler, ...] = ()
    if machine.playground is not None:
        at_play = (PlaygroundPages, PlaygroundStream(pages, playground_keys, machine.playground).handler())
    return Router(
        "/",
        route_handlers=[
            SignInPages,
            SignOutPages,
            AccountPages,
            SingleSignOnPages,
            IssuerLogoutRoute,
            DevicePages,
            OverviewPages,
            KeyPages,
            KeyEditPages,
            ConnectPages,
            MySpendPages,
            MyLimitsPages,
            RequestPages,
            SpendPages,
            MonthPages,
            ModelPages,
            BudgetPages,
            TagPages,
            AuditPages,
            AlertPages,
            SavedViewPages,
            SettingsPages,
            CredentialPages,
            *TENANCY_PAGES,
            *at_play,
            serve_asset,
            no_such_page,
        ],
        dependencies={
            "pages": Given(pages),
            "naming": Given(naming),
            "cost_centers": Provide(lambda: CostCenters(engine), sync_to_thread=False),
            "machine": Given(machine),
            "budget_board": Given(board),
            "model_desk": Provide(model_desk, sync_to_thread=False),
            "price_desk": Provide(price_desk, sync_to_thread=False),
            "saved_views": Given(saved_views),
            "desk": Given(desk),
            "key_obstacles": Given(key_obstacles),
            "page_catalog": Provide(lambda: catalog(), sync_to_thread=False),
            "own_keys": Given(own_keys),
            "playground_keys": Given(playground_keys),
            "playground": Given(machine.playground),
        },
    )
