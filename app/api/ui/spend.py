"""The spend explorer: what was spent, by anything, on any days, down to the receipts; and the same as a file."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.people import Person
from app.admin.spend import Ask, Spend
from app.admin.spend_explorer import Exploration, Group, Question, SpendExplorer, total_of
from app.api.admin.answers import number
from app.api.finance import focus
from app.api.finance.files import render_csv
from app.api.finance.reports import report_head, report_row
from app.api.ui.access import Pages
from app.api.ui.charts import Chart, Stack, stacked
from app.api.ui.lists import last_page, read_text
from app.api.ui.navigation import reaches_others
from app.api.ui.rendering import PAGE_HEADERS
from app.api.ui.spend_filters import DIMENSIONS, NAMELESS, NAMES, choices_of, read_choice
from app.api.ui.spend_view import DAY, PAGE, PLAIN, SPANS, SpendView, read_view, usual_view
from app.base.errors import CallerError, Unprocessable
from app.domain.roles import Tenant
from app.storage.postgres.report_names import NAMED
from app.storage.postgres.reports import COLUMN_NAMES

AnyRequest = Request[Any, Any, Any]
_MOST_LINES = 100_000
_FILE_HEAD = (
    "cost", "requests", "failures", "tokens_in", "tokens_cached", "tokens_out", "share_percent", "cost_before",
    "change",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """How much more it is than before; ``percent`` is None where there was nothing before."""

    nanousd: int
    percent: str | None


class SpendPages(Controller):
    """On the service of ``/spend/report``, with the same action."""

    include_in_schema = False

    @get("/ui/spend")
    async def explore(
        self, request: AnyRequest, pages: NamedDependency[Pages], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "spend.reports")
        tenant = person.reach("spend.reports")
        explorer = SpendExplorer(spend)
        picked = NAMES.get(read_text(request, "pick"))
        values: dict[str, Any] = {"dimensions": DIMENSIONS, "spans": SPANS, "picked": picked, "choices": ()}
        values |= {
            "found": None,
            "chart": None,
            "names": {},
            "nameless": NAMELESS,
            "change_of": change_of,
            "plain": PLAIN,
        }
        try:
            view = read_view(request, _usual_group(person))
            if chosen := read_choice(request):
                return pages.go(view.with_filter(*chosen))
            question = view.question()
            found, values["names"], values["choices"] = await asyncio.gather(
                explorer.explore(question, tenant),
                explorer.names_of(question, tenant),
                choices_of(explorer, question, picked, tenant),
            )
            values |= {"found": found, "chart": _chart(view, question, found)}
        except CallerError as error:
            values |= {"view": usual_view(_usual_group(person)), "error": error, "typed": dict(request.query_params)}
            return pages.show(request, "spend.html", person, status=error.status, **values)
        last = last_page(found.count, PAGE)
        if view.number > last:
            view = replace(view, number=1)
        values |= {"view": view, "last": last, "error": None, "typed": {}}
        return pages.show(request, "spend.html", person, **values)

    @get("/ui/spend/download")
    async def download(
        self, request: AnyRequest, pages: NamedDependency[Pages], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        """What the page shows, on all its pages: as a table, by periods too, or in the columns of FOCUS."""
        person = await pages.require_page(request, "spend.reports")
        tenant = person.reach("spend.reports")
        view = read_view(request, _usual_group(person))
        question = view.question()
        style = read_text(request, "format")
        name = f"spend-{view.span.first}-{view.span.last}"
        if style == "focus":
            answer = await _focus_file(spend, question, tenant, f"{name}.focus.csv")
        elif style == "periods":
            answer = await _periods_file(spend, question, tenant, f"{name}-by-{question.span.interval}.csv")
        else:
            answer = await _table_file(spend, view, tenant, f"{name}.csv")
        answer.headers.update(PAGE_HEADERS)
        return answer


def change_of(now_nanousd: int, before_nanousd: int) -> Change:
    more = now_nanousd - before_nanousd
    if before_nanousd <= 0:
        return Change(more, None)
    per_mille = (more * 1_000 + before_nanousd // 2) // before_nanousd
    digits = (
        f"{abs(per_mille) / 10:,.0f}" if abs(per_mille) >= 1_000 else f"{abs(per_mille) // 10}.{abs(per_mille) % 10}"
    )
    return Change(more, f"{'+' if per_mille > 0 else '−' if per_mille < 0 else '±'}{digits} %")


def _usual_group(person: Person) -> str:
    return "team" if reaches_others(person.reach("spend.reports")) else "model"


def _chart(view: SpendView, question: Question, found: Exploration) -> Chart:
    stack = question.stack
    stacks = []
    for series in found.series:
        others = series.id is None
        name = series.name or ("Others" if others else NAMELESS.get(stack or "", "None"))
        address = view.with_filter(stack, series.id) if stack is not None and series.id is not None else ""
        stacks.append(Stack(name, series.costs_nanousd, others and stack is not None, address))
    return stacked(found.labels, question.span.interval, stacks)


async def _table_file(spend: Spend, view: SpendView, tenant: Tenant, name: str) -> Response[bytes]:
    question = replace(view.question(), skip=0, most=_MOST_LINES + 1)
    groups, count = await SpendExplorer(spend).groups(question, tenant)
    _check_lines(count)
    total = total_of(await spend.report(question.ask(), tenant)).cost_nanousd
    head = [DAY if question.group_by is None else COLUMN_NAMES[question.group_by]]
    if question.group_by in NAMED:
        head.append(f"{question.group_by}_alias")
    return render_csv([*head, *_FILE_HEAD], _lines(groups, head, total), None, name)


def _lines(groups: Sequence[Group], head: Sequence[str], total_nanousd: int) -> Iterator[Mapping[str, Any]]:
    for group in groups:
        amounts, before = group.amounts, group.before_nanousd
        names = dict(zip(head, (group.id, group.name if group.name != group.id else ""), strict=False))
        yield {
            **names,
            "cost": number(amounts.cost_nanousd),
            "requests": amounts.requests,
            "failures": amounts.failures,
            "tokens_in": amounts.prompt_tokens,
            "tokens_cached": amounts.cache_read_tokens,
            "tokens_out": amounts.completion_tokens,
            "share_percent": _share(amounts.cost_nanousd, total_nanousd),
            "cost_before": None if before is None else number(before),
            "change": None if before is None else number(amounts.cost_nanousd - before),
        }


def _share(part: int, whole: int) -> str:
    hundredths = part * 10_000 // whole if whole > 0 else 0
    return f"{hundredths // 100}.{hundredths % 100:02d}"


async def _periods_file(spend: Spend, question: Question, tenant: Tenant, name: str) -> Response[bytes]:
    """The rows of ``/spend/report`` of the same question, by the periods and the colors of the chart."""
    group_by = tuple(dict.fromkeys(one for one in (question.group_by, question.stack) if one is not None))
    ask = replace(question.ask(group_by=group_by), interval=question.span.interval, most=_MOST_LINES + 1)
    found = await spend.report(ask, tenant)
    _check_lines(len(found.cells))
    return render_csv(report_head(found.group_by), [report_row(found, cell) for cell in found.cells], None, name)


async def _focus_file(spend: Spend, question: Question, tenant: Tenant, name: str) -> Response[bytes]:
    if "tag" in question.only:
        raise Unprocessable("A tag is no column of FOCUS: take the filter by tag away, or filter by project.")
    ask: Ask = replace(question.ask(group_by=focus.GROUP_BY), interval="day", most=_MOST_LINES + 1)
    found = await spend.report(ask, tenant)
    _check_lines(len(found.cells))
    return render_csv(focus.COLUMNS, focus.rows(found, question.timezone), None, name)


def _check_lines(count: int) -> None:
    if count > _MOST_LINES:
        raise Unprocessable(f"The file would have more than {_MOST_LINES:,} lines: choose fewer days, or a filter.")
