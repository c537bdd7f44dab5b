"""Templates and what they need: escaping, money and times as people read them, and the headers of every page."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from functools import cache
from threading import Thread
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from litestar import Response
from litestar.datastructures import Cookie
from markupsafe import Markup

from app.api.ui.assets import asset_address
from app.api.ui.call_words import FILTERS as CALL_FILTERS
from app.api.ui.navigation import navigation_for
from app.api.ui.role_words import member_role_name, role_name
from app.api.ui.segments import segment
from app.base.clock import now
from app.base.money import NANO_PER_USD, NanoUSD

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS: Mapping[str, str] = {
    "content-security-policy": _POLICY,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_BREATH_S = 0.01
"""Between two templates, for those who are answered meanwhile."""
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


class Templates:
    """Of the folder ``templates``; every value is escaped."""

    def __init__(self, filters: Mapping[str, Callable[..., Any]]) -> None:
        """``filters`` besides those that are here."""
        environment = Environment(
            loader=PackageLoader("app.api.ui", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.filters |= {
            "usd": usd, "exact_usd": exact_usd, "count": count, "short": short, "duration": duration, "ago": ago,
            "day": day, "moment": moment, "instant": instant, "segment": segment, "calendar_day": calendar_day,
            "role_name": role_name, "member_role_name": member_role_name, **CALL_FILTERS, **filters,
        }  # fmt: skip
        environment.globals |= {"asset": asset_address, "navigation_for": navigation_for, "form_token": _form_token}
        icon = getattr(environment.get_template("icons.html").module, "icon")  # noqa: B009
        environment.globals["icon"] = cache(icon)  # a page has thirty of them, and a list one in each line
        self._environment = environment
        self._ahead = Thread(target=self._read_all, name="templates", daemon=True)
        self._is_read = False

    def render(self, template: str, values: Mapping[str, Any]) -> bytes:
        body = self._environment.get_template(template).render(values).encode()
        if not self._is_read:
            self._is_read = True
            self._ahead.start()
        return body

    def _read_all(self) -> None:
        """While somebody reads the first page: to make a template ready takes up to 40 ms, half of a page's time."""
        for name in self._environment.list_templates():
            self._environment.get_template(name)
            time.sleep(_BREATH_S)


def page_response(
    body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None, cookies: Iterable[Cookie] = ()
) -> Response[bytes]:
    return Response(
        body,
        status_code=status,
        media_type="text/html",
        headers={**PAGE_HEADERS, **(headers or {})},
        cookies=list(cookies),
    )


@pass_context
def _form_token(context: Context) -> Markup:
    """The field that every form of a page holds."""
    return Markup('<input type="hidden" name="form_token" value="{}">').format(context["token"])


def usd(amount: NanoUSD | None) -> str:
    """To the cent from a dollar on, else as exact as it needs to be seen: $1,204.56, $0.0042."""
    if amount is None:
        return "–"
    sign, rest = ("−" if amount < 0 else ""), abs(amount)
    digits = 2 if rest >= NANO_PER_USD or rest == 0 else 4
    unit = 10 ** (9 - digits)
    rounded = (rest + unit // 2) // unit
    if rest and not rounded:
        return f"< {sign}$0.0001"
    whole, part = divmod(rounded, 10**digits)
    return f"{sign}${whole:,}.{part:0{digits}d}"


def exact_usd(amount: NanoUSD, digits_least: int = 2) -> str:
    """To the nano-dollar, without zeros at the end beyond the cent; in a column all nine, so that points align."""
    sign, (whole, part) = ("−" if amount < 0 else ""), divmod(abs(amount), NANO_PER_USD)
    digits = f"{part:09d}"
    return f"{sign}${whole:,}.{digits[:digits_least]}{digits[digits_least:].rstrip('0')}"


def count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def short(number: int) -> str:
    """Three digits of a large number: 1.25 M. Rounded down."""
    for unit, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if number >= unit:
            whole, hundredths = divmod(number * 100 // unit, 100)
            digits = 0 if whole >= 100 else 1 if whole >= 10 else 2
            return f"{whole}{f'.{hundredths:02d}'[: digits + 1] if digits else ''} {letter}"
    return str(number)


def duration(milliseconds: int | None) -> str:
    """In the unit that says most: 850 ms, 1.5 s, 2 min 5 s."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1_000:
        return f"{milliseconds} ms"
    seconds, rest = divmod(milliseconds, 1_000)
    return f"{seconds}.{rest // 100} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60} s"


def moment(at: datetime | None) -> Markup:
    """With the instant itself, which a script shows in the reader's zone."""
    if at is None:
        return Markup("–")
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(utc.isoformat(), f"{calendar_day(utc)}, {utc:%H:%M}")


def instant(at: datetime) -> Markup:
    """As ``moment``, to the second: for what happens many times a minute."""
    utc = at.astimezone(UTC)
    text = f"{calendar_day(utc)}, {utc:%H:%M:%S}"
    return Markup('<time datetime="{}" data-seconds>{} UTC</time>').format(utc.isoformat(), text)


def day(at: datetime | None) -> Markup:
    if at is None:
        return Markup("–")
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        utc.isoformat(), f"{calendar_day(utc)}, {utc:%H:%M}", calendar_day(utc)
    )


def calendar_day(on: date | str) -> str:
    """A day that is one already in the zone that was asked for; a text is its ISO form."""
    found = date.fromisoformat(on) if isinstance(on, str) else on
    return f"{found.day} {found:%b %Y}"


def ago(at: datetime | None) -> Markup:
    """How long ago, in one unit; the instant is its title."""
    if at is None:
        return Markup('<span class="quiet">never</span>')
    seconds = int((now() - at).total_seconds())
    units = ((_DAY_S, "day"), (_HOUR_S, "h"), (_MINUTE_S, "min"))
    size, name = next(((size, name) for size, name in units if seconds >= size), (0, ""))
    number = seconds // size if size else 0
    words = f"{number} {name}{'s' if name == 'day' and number > 1 else ''} ago" if size else "just now"
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        utc.isoformat(), f"{calendar_day(utc)}, {utc:%H:%M}", words
    )
