"""One gateway with demo data and with hostile names in every field, and Chromium before it; skipped where either is
missing."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from app.admin.demo_data.company import PERSONAS
from app.admin.demo_data.rows import demo_password
from tests.browser.addresses import latest_of
from tests.browser.hostile import plant
from tests.browser.watching import WIDE, Size, Watched, watch
from tests.fakes.gateway_process import MASTER_KEY, GatewayProcess
from tests.fakes.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, identity_provider_beside

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, StorageState

SECRET = "pepper-of-the-tests"  # of GatewayProcess
PASSWORD = demo_password(SECRET.encode())
RECEIPTS = 3_000
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
Open = Callable[..., Watched]


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not here: make install-test")
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser is here, of {', '.join(PROGRAMS)}: apt-get install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def provider(browser: "Browser") -> Iterator[IdentityProvider]:
    """By which people sign in who have no password."""
    with identity_provider_beside() as running:
        yield running


@pytest.fixture(scope="session")
def gateway(browser: "Browser", provider: IdentityProvider, make_home: Callable[[], Path]) -> Iterator[GatewayProcess]:
    """As a visitor starts it. After ``browser``, so that nothing is started where it is missing."""
    folder = make_home()
    settings = {
        "KEYHOUSE_CLAUDE_CODE_SIGN_IN": "true",
        "KEYHOUSE_OIDC_ISSUER": provider.url,
        "KEYHOUSE_OIDC_CLIENT_ID": CLIENT_ID,
        "KEYHOUSE_OIDC_CLIENT_SECRET": CLIENT_SECRET,
        "KEYHOUSE_OIDC_NAME": "Example ID",
        "KEYHOUSE_OIDC_AUTO_CREATE": "true",
        "KEYHOUSE_OIDC_EMAIL_DOMAINS": "halden.example",
        "KEYHOUSE_OIDC_ROLES": "makers=internal_user,accountants=auditor",
        "KEYHOUSE_OIDC_TEAMS": "payments-leads=team_payments:admin",
    }
    process = GatewayProcess(folder / "home", settings, "--demo-data", "--demo-receipts", str(RECEIPTS))
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def admin(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {MASTER_KEY}"}
    with httpx.Client(base_url=gateway.base_url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def sessions(browser: "Browser", gateway: GatewayProcess) -> "Mapping[str, StorageState]":
    """Cookies of everybody of PERSONAS, signed in by the form."""
    found = {}
    for title, human in PERSONAS.items():
        context = browser.new_context(base_url=gateway.base_url)
        page = context.new_page()
        page.goto("/ui/sign-in")
        page.get_by_label("E-mail").fill(human.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "sign-in" not in url)
        found[title] = context.storage_state()
        context.close()
    return found


@pytest.fixture(scope="session")
def lasting_pages(
    browser: "Browser", gateway: GatewayProcess, sessions: "Mapping[str, StorageState]"
) -> Iterator[Mapping[bool, Watched]]:
    """The owner's page by True, and nobody's by False: for what is only looked at, which a new page each would slow."""
    pages = {}
    for is_owner in (True, False):
        state = sessions["owner"] if is_owner else None
        context = browser.new_context(
            base_url=gateway.base_url, storage_state=state, viewport=WIDE, reduced_motion="reduce"
        )
        pages[is_owner] = watch(context.new_page(), gateway.base_url)
    yield pages
    for watched in pages.values():
        watched.page.context.close()


@pytest.fixture
def open_as(browser: "Browser", gateway: GatewayProcess, sessions: "Mapping[str, StorageState]") -> Iterator[Open]:
    """``open_as("developer", width=NARROW)`` is a page that has seen nothing wrong when it is closed, at the end of the
    test; of nobody for None."""
    opened: list[tuple[BrowserContext, Watched]] = []

    def open_page(title: str | None, size: Size = WIDE, *others: str) -> Watched:
        state = None if title is None else sessions[title]
        context = browser.new_context(
            base_url=gateway.base_url,
            storage_state=state,
            viewport=size,
            permissions=["clipboard-read", "clipboard-write"],
            reduced_motion="reduce",
        )
        watched = watch(context.new_page(), gateway.base_url, *others)
        opened.append((context, watched))
        return watched

    yield open_page
    faults = []
    for context, watched in opened:
        faults += watched.faults
        context.close()
    assert faults == []


@pytest.fixture(scope="session")
def found(
    browser: "Browser", gateway: GatewayProcess, admin: httpx.Client, sessions: "Mapping[str, StorageState]"
) -> Mapping[str, str]:
    """What stands in capitals in addresses.py: the hostile names are planted, and somebody is invited."""
    planted = plant(admin)
    context = browser.new_context(base_url=gateway.base_url, storage_state=sessions["owner"])
    page = context.new_page()
    page.goto("/ui/people")
    page.get_by_label("E-mail address", exact=True).fill("nora.new@halden.example")
    page.get_by_role("button", name="Invite", exact=True).click()
    link = page.locator("#link").inner_text()
    context.close()
    _, session_id = latest_of(admin, "key_ada_lindqvist_laptop")
    return {
        **planted,
        "INVITATION": link.rpartition("/")[2],
        "SESSION": session_id,
        "MONTH": f"{datetime.now(UTC):%Y-%m}",
    }
