"""The pages of months: the list with its states, closing one after saying what that does, and whom it costs what."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.closing import Closing
from app.admin.cost_centers import CostCenters
from app.admin.months import Charge, Month, Months, Payer, last_day
from app.admin.naming import Naming
from app.admin.people import Person
from app.admin.spend import Spend
from app.api.admin.answers import number
from app.api.finance.closing import read_month
from app.api.finance.files import render_csv
from app.api.ui.access import Pages
from app.api.ui.lists import read_text
from app.api.ui.rendering import PAGE_HEADERS
from app.api.ui.spend_filters import DIMENSIONS, NAMELESS, NAMES
from app.base.clock import now
from app.base.errors import CallerError
from app.storage.postgres.reports import COLUMN_NAMES, Dimension

AnyRequest = Request[Any, Any, Any]
PAYERS: Mapping[str, Payer] = {"cost_center": "cost_center", "organization": "organization"}
BELOW: tuple[Dimension, ...] = ("project", "user", "key", "customer", "model")
"""What the lines of a team may be told by."""
_MONTH = re.compile(r"2[0-9]{3}-(0[1-9]|1[0-2])", re.ASCII)


class MonthPages(Controller):
    """On the services of ``/spend/closes``, ``/spend/close`` and ``/spend/report``, with the same actions."""

    include_in_schema = False

    @get("/ui/months")
    async def list_months(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        spend: NamedDependency[Spend],
        closing: NamedDependency[Closing],
        naming: NamedDependency[Naming],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "spend.books")
        months = await Months(spend, closing).all()
        values: dict[str, Any] = {"months": months, "may_close": _may_close(person)}
        values |= {"done": _closed_now(read_text(request, "closed"), months), "sees_spend": _sees_spend(person)}
        values["names"] = await naming.names("user", {month.closed.closed_by for month in months if month.closed})
        return pages.show(request, "months.html", person, **values)

    @get("/ui/months/{month:str}")
    async def one(
        self,
        request: AnyRequest,
        month: FromPath[str],
        pages: NamedDependency[Pages],
        spend: NamedDependency[Spend],
        closing: NamedDependency[Closing],
        naming: NamedDependency[Naming],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "spend.books")
        months = Months(spend, closing)
        found, open_before = await months.one(read_month(month))
        values: dict[str, Any] = {"digest_now": None, "names": {}, "open_before": open_before}
        if found.closed is not None:
            values["names"] = await naming.names("user", [found.closed.closed_by])
            if read_text(request, "verify") == "yes":
                _, values["digest_now"] = await closing.verify(found.first)
        return await _show(request, pages, (person, found), months, **values)

    @post("/ui/months/{month:str}", status_code=200)
    async def close(
        self,
        request: AnyRequest,
        month: FromPath[str],
        pages: NamedDependency[Pages],
        spend: NamedDependency[Spend],
        closing: NamedDependency[Closing],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "settings.change")
        await pages.read_form(request)
        months, first = Months(spend, closing), read_month(month)
        try:
            await closing.close(first, person.actor("settings.change"))
        except CallerError as error:
            found, open_before = await months.one(first)
            return await _show(request, pages, (person, found), months, error=error, open_before=open_before)
        return pages.go(f"/ui/months?closed={first:%Y-%m}")

    @get("/ui/chargeback")
    async def chargeback(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        spend: NamedDependency[Spend],
        closing: NamedDependency[Closing],
        cost_centers: NamedDependency[CostCenters],
    ) -> Response[bytes]:
        """One month; the last that is over unless the address says which. As CSV with ``format=csv``.

        By cost centre unless the address says otherwise, where there are any.
        """
        person = await pages.require_page(request, "spend.reports")
        tenant = person.reach("spend.reports")
        months = Months(spend, closing)
        choices = await months.choices()
        first = _asked_month(request, [one for one, _ in choices])
        below = NAMES.get(read_text(request, "below"))
        below = below if below in BELOW else None
        known = await cost_centers.known(tenant)
        by = PAYERS.get(read_text(request, "by")) or ("cost_center" if known else "organization")
        charges = await months.charges(first, by, below, tenant)
        charges.sort(key=lambda charge: by == "cost_center" and not charge.id)
        if read_text(request, "format") == "csv":
            return _file(charges, (by, "team", *([below] if below is not None else [])), f"{first:%Y-%m}")
        state = dict(choices)[first]
        values: dict[str, Any] = {"charges": charges, "first": first, "state": state, "choices": choices}
        values |= {"by": by, "payers": {name: DIMENSIONS[name] for name in PAYERS.values()}}
        values |= {"uncharged": next((one for one in charges if by == "cost_center" and not one.id), None)}
        values |= {"may_change": person.reach("team.change"), "are_known": bool(known)}
        values |= {"teams": len({part.id for charge in charges for part in charge.parts if part.id})}
        values |= {"below": below, "belows": {name: DIMENSIONS[name] for name in BELOW}, "nameless": NAMELESS}
        values |= {"total": _sum(charges), "corrections": sum(one.corrections.cost_nanousd for one in charges)}
        values |= {"last": last_day(first), "at": now()}
        return pages.show(request, "chargeback.html", person, **values)


async def _show(
    request: AnyRequest,
    pages: Pages,
    seen: tuple[Person, Month],
    months: Months,
    error: CallerError | None = None,
    **values: Any,  # noqa: ANN401  what else the template shows
) -> Response[bytes]:
    person, month = seen
    following = month.last + timedelta(days=1)
    values = {"digest_now": None, "names": {}, "month": month, "following": following, **values}
    values["uncharged"] = await months.uncharged(month.first) if month.state == "open" else 0
    values |= {"error": error, "may_close": _may_close(person), "sees_spend": _sees_spend(person)}
    return pages.show(request, "month.html", person, status=200 if error is None else error.status, **values)


def _asked_month(request: AnyRequest, months: Sequence[date]) -> date:
    text = read_text(request, "month")
    asked = date.fromisoformat(f"{text}-01") if _MONTH.fullmatch(text) else None
    return asked if asked in months and asked is not None else months[min(1, len(months) - 1)]


def _closed_now(text: str, months: Sequence[Month]) -> Month | None:
    return next((one for one in months if f"{one.first:%Y-%m}" == text and one.closed is not None), None)


def _may_close(person: Person) -> bool:
    return person.may("settings.change")


def _sees_spend(person: Person) -> bool:
    return person.may("spend.reports")


def _sum(charges: Sequence[Charge]) -> int:
    return sum(charge.cost_nanousd for charge in charges)


def _file(charges: Sequence[Charge], levels: tuple[Dimension, ...], month: str) -> Response[bytes]:
    names = [name for level in levels for name in _columns(level)]
    head = ["month", *names, "requests", "usage", "corrections", "cost"]
    answer = render_csv(head, _lines(charges, levels, {"month": month}), None, f"chargeback-{month}.csv")
    answer.headers.update(PAGE_HEADERS)
    return answer


def _columns(level: Dimension) -> tuple[str, ...]:
    return (COLUMN_NAMES[level],) if level == "cost_center" else (COLUMN_NAMES[level], f"{level}_alias")


def _lines(
    charges: Sequence[Charge], levels: tuple[Dimension, ...], above: Mapping[str, str]
) -> Iterator[Mapping[str, Any]]:
    """The lines at the bottom: those above are their sums."""
    for charge in charges:
        told = (charge.id, charge.name if charge.name != charge.id else "")
        names = {**above, **dict(zip(_columns(levels[0]), told, strict=False))}
        if charge.parts:
            yield from _lines(charge.parts, levels[1:], names)
            continue
        yield {
            **names,
            "requests": charge.requests,
            "usage": number(charge.usage.cost_nanousd),
            "corrections": number(charge.corrections.cost_nanousd),
            "cost": number(charge.cost_nanousd),
        }
