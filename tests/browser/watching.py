"""A page that is watched: whatever goes wrong in it, asks another host, or runs a script that is not ours, is noted."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Dialog, Page, Request

_SERIOUS = ("serious", "critical")
_LEVELS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")
_AXE = """async (options) =>
    (await axe.run({ exclude: [["tbody tr:nth-child(n+7)"], ["li:nth-child(n+12)"]] }, options)).violations"""


class Size(TypedDict):
    width: int
    height: int


WIDE, NARROW = Size(width=1440, height=900), Size(width=390, height=844)
MIDDLE = Size(width=1024, height=768)


@dataclass
class Watched:
    page: "Page"
    base_url: str
    others: tuple[str, ...] = ()
    """Hosts that this page may lead to."""
    faults: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        answer = self.page.goto(path)
        assert answer is not None
        assert answer.ok, (path, answer.status)

    @property
    def holds_hostile_elements(self) -> bool:
        """Whether a name of tests/browser/hostile.py has become more than text."""
        return self.page.locator("img[src=x], svg[onload]").count() > 0

    def says(self, *texts: str) -> bool:
        """Whether any of them is there to be read, or stands in a field."""
        shown = self.page.evaluate(
            "document.body.innerText + [...document.querySelectorAll('input, textarea')].map((one) => one.value).join()"
        )
        return any(text in shown for text in texts)

    def accessibility_faults(self, *rules: str) -> list[str]:
        """What axe finds that is serious or critical; of some rules alone where they are named. Rows of long tables are
        all made alike: the first few are looked at."""
        from axe_playwright_python.base import AXE_SCRIPT  # only where there is a browser

        wanted = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": _LEVELS}
        options: dict[str, Any] = {"resultTypes": ["violations"], "runOnly": wanted}
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE_SCRIPT)
        found = self.page.evaluate(_AXE, options)
        return [
            f"{fault['id']}: {node['html'][:150]} ({node['failureSummary'][:200]})"
            for fault in found
            if fault["impact"] in _SERIOUS
            for node in fault["nodes"]
        ]

    def overflow_px(self) -> int:
        """How far the page can be scrolled sideways."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))

    def cut_px(self) -> int:
        """How much of a card's content lies beyond its edge, where one has to scroll for it."""
        script = (
            "Math.max(0, ...[...document.querySelectorAll('.card')].map((one) => one.scrollWidth - one.clientWidth))"
        )
        return int(self.page.evaluate(script))


def watch(page: "Page", base_url: str, *others: str) -> Watched:
    watched = Watched(page, base_url, others)

    def heard(message: "ConsoleMessage") -> None:
        if message.type in ("error", "warning"):
            watched.faults.append(f"{page.url}: console: {message.text}")

    def asked(request: "Request") -> None:
        if not request.url.startswith((base_url, "data:", "blob:", *others)):
            watched.faults.append(f"{page.url}: asks another host: {request.url}")

    def opened(dialog: "Dialog") -> None:
        watched.faults.append(f"{page.url}: a script ran: {dialog.message}")
        dialog.dismiss()

    page.on("console", heard)
    page.on("pageerror", lambda error: watched.faults.append(f"{page.url}: {error}"))
    page.on("request", asked)
    page.on("dialog", opened)
    return watched
