"""``make screenshots``: the main pages of a gateway with demo data, as small PNGs in docs/pictures."""

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
from playwright.sync_api import Browser, sync_playwright

from app.admin.demo_data.company import OWNER
from app.admin.demo_data.rows import demo_password
from tests.browser.addresses import filled_in, latest_of
from tests.browser.small_png import with_palette
from tests.browser.watching import Size
from tests.fakes.gateway_process import MASTER_KEY, GatewayProcess

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
MOST_BYTES = 100 * 1024
_SIZE = Size(width=1280, height=840)
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, slots=True)
class Picture:
    name: str
    address: str
    scheme: Literal["light", "dark"] = "light"


PICTURES = (
    Picture("overview", "/ui"),
    Picture("spend", "/ui/spend"),
    Picture("keys", "/ui/keys"),
    Picture("key", "/ui/keys/key_checkout_assistant"),
    Picture("requests", "/ui/requests", "dark"),
    Picture("receipt", "/ui/requests/REQUEST"),
    Picture("team", "/ui/teams/team_payments"),
    Picture("budgets", "/ui/budgets", "dark"),
    Picture("models", "/ui/models"),
    Picture("connect", "/ui/connect"),
)


def main() -> None:
    program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        sys.exit(f"no browser is here, of {', '.join(_PROGRAMS)}: apt-get install chromium")
    folder = Path(tempfile.mkdtemp(prefix="keyhouse-pictures-", dir="/var/tmp"))
    folder.chmod(0o711)
    gateway = GatewayProcess(folder / "home", {}, "--demo-data")
    gateway.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            FOLDER.mkdir(exist_ok=True)
            for name, png in take(browser, gateway):
                (FOLDER / f"{name}.png").write_bytes(png)
                print(f"{name}.png {len(png) / 1024:.0f} KiB")  # noqa: T201  a command
                if len(png) > MOST_BYTES:
                    sys.exit(f"{name}.png has more than {MOST_BYTES // 1024} KiB")
    finally:
        gateway.stop()
        shutil.rmtree(folder)


def take(browser: Browser, gateway: GatewayProcess) -> list[tuple[str, bytes]]:
    with httpx.Client(
        base_url=gateway.base_url, headers={"Authorization": f"Bearer {MASTER_KEY}"}, trust_env=False
    ) as admin:
        request_id, _ = latest_of(admin, "key_ada_lindqvist_laptop")
    page = browser.new_page(base_url=gateway.base_url, viewport=_SIZE, reduced_motion="reduce")
    page.goto("/ui/sign-in")
    page.get_by_label("E-mail").fill(OWNER.email)
    page.get_by_label("Password").fill(demo_password(b"pepper-of-the-tests"))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "sign-in" not in url)
    taken = []
    for picture in PICTURES:
        page.emulate_media(color_scheme=picture.scheme)
        page.goto(filled_in(picture.address, {"REQUEST": request_id}))
        page.wait_for_timeout(200)
        taken.append((picture.name, with_palette(page.screenshot(animations="disabled"))))
    return taken


if __name__ == "__main__":
    main()
