"""The use case of the watch: one look at what was spent and what is about to end, and the alerts that follow from it.

One process at a time looks. What is found is noted with its deliveries in one transaction, under a name that is the
same for everyone who finds it: so it is told once, however many look, and whatever is killed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.budget_facts import budget_facts
from app.domain import alert_words as words
from app.domain.alert_words import BillingRefusal, BudgetFacts, Ejection, Owner
from app.domain.alerts import (
    EXPIRY_NOTICES_DAYS,
    FORECAST_SHORTEST,
    VELOCITY_LEAST_NANOUSD,
    Alert,
    Told,
    crossed,
    expiry_notice,
    forecast,
    is_far_above_usual,
    reached_at,
    weights_of,
)
from app.domain.budgets import Budget
from app.domain.report_periods import HOUR_S, QUARTER_S
from app.domain.roles import EVERYTHING
from app.domain.tenancy import PLATFORM, owners_in
from app.storage.postgres import alert_sources as sources
from app.storage.postgres.access_group_budgets import list_watched_groups
from app.storage.postgres.alert_destinations import list_destinations
from app.storage.postgres.alert_outbox import Route, last_told, list_told, write_alerts
from app.storage.postgres.alert_sources import Ids, WatchedBudget, WatchedKind
from app.storage.postgres.budget_standings import BudgetStanding, drop_standings, percent_of, put_standings
from app.storage.postgres.engine import transaction

# A call may last an hour, and is booked with the time of its beginning.
_LOOKS_BACK = timedelta(hours=2)
_FIRST_LOOKS_BACK = timedelta(days=7)
_TAKES_ALL_EVERY = timedelta(minutes=10)
_SINCE_EVER = datetime(2000, 1, 1, tzinfo=UTC)
_AT_ONCE = 500  # a statement takes 32767 parameters, and the sums of one owner some 30
_USUAL_OF = timedelta(days=14)
_QUIET_FOR = timedelta(days=1)
_NO_HABIT = (0,) * 7


class _Seen:
    """What each owner had spent at a look, since an instant shortly before it: who has another sum has spent since.

    Now and then a look takes all who have spent lately: a budget may have been given to them meanwhile.
    """

    def __init__(self, at: datetime, before: "_Seen | None") -> None:
        since = _floor(at - _LOOKS_BACK, QUARTER_S)
        self._before = before
        self._since: datetime = since if before is None else max(since, before._since)
        self.takes_all = before is None or not before._took_all_at <= at < before._took_all_at + _TAKES_ALL_EVERY
        self._took_all_at: datetime = at if before is None or self.takes_all else before._took_all_at
        self._sums: dict[tuple[WatchedKind, Ids], int] = {}

    async def find_spenders(self, connection: AsyncConnection, kind: WatchedKind) -> list[Ids] | None:
        """Who has spent since the look before; None at the first one. Notes what they have spent now."""
        before, since = self._before, self._since
        found = await sources.list_spenders(connection, kind, since if before is None else before._since, since)
        self._sums |= {(kind, ids): later for ids, _, later in found}
        if before is None:
            return None
        return [ids for ids, spent, _ in found if self.takes_all or before._sums.get((kind, ids)) != spent]

    def forget_before(self) -> "_Seen":
        self._before = None
        return self


class AlertWatch:
    """``configured`` are the destinations of the configuration, beside those in the database; ``platform`` are the
    budgets of all calls together, ``serving`` tells those of deployments and providers as they are now."""

    def __init__(
        self,
        engine: AsyncEngine,
        configured: Sequence[Route] = (),
        platform: Sequence[Budget] = (),
        serving: Callable[[], Sequence[WatchedBudget]] = tuple,
    ) -> None:
        everybody = Owner(PLATFORM, "the platform")
        self._platform = [
            WatchedBudget("platform", (), everybody, one, refuses=True, soft_limit_nanousd=None) for one in platform
        ]
        self._serving = serving
        self._engine = engine
        self._configured = tuple(configured)
        self._seen: _Seen | None = None

    async def look(self, at: datetime) -> list[Alert]:
        """What is new; nothing while another process looks.

        The first look of a process leaves no budget out; each later one reads those of owners who have spent since.
        """
        async with transaction(self._engine) as connection:
            if not await sources.may_look(connection):
                return []
            since, seen = at - _LOOKS_BACK, _Seen(at, self._seen)
            found: list[Alert] = []
            for kind in sources.WATCHED_KINDS:
                # Before their sums are read: what is booked meanwhile is found anew by the next look.
                spenders = await seen.find_spenders(connection, kind)
                watched = await sources.list_watched(connection, kind, since, spenders)
                for first in range(0, len(watched), _AT_ONCE):
                    found += await _of_budgets(connection, kind, watched[first : first + _AT_ONCE], at)
            of_groups = await list_watched_groups(connection)
            found += await _of_budgets(connection, "platform", [*self._platform, *of_groups, *self._serving()], at)
            if seen.takes_all:
                await drop_standings(connection, at)
            for unusual in ("key", "team"):
                found += await _of_velocity(connection, unusual, at)
            found += await _of_prices(connection, at - (_FIRST_LOOKS_BACK if self._seen is None else _LOOKS_BACK), at)
            found += await _of_keys(connection, at)
            routes = await self._routes(connection)
            new: list[Alert] = []
            for first in range(0, len(found), _AT_ONCE):
                new += await write_alerts(connection, found[first : first + _AT_ONCE], routes)
        self._seen = seen.forget_before()
        return new

    async def note_refusal(self, refusal: BillingRefusal) -> list[Alert]:
        """A provider has said that its account is out of money; told once a day for each account."""
        async with transaction(self._engine) as connection:
            return await write_alerts(connection, [words.billing_refused(refusal)], await self._routes(connection))

    async def note_ejection(self, ejection: Ejection) -> list[Alert]:
        """A deployment was put aside; told once an hour for each."""
        async with transaction(self._engine) as connection:
            return await write_alerts(connection, [words.deployment_ejected(ejection)], await self._routes(connection))

    async def _routes(self, connection: AsyncConnection) -> list[Route]:
        stored = await list_destinations(connection, EVERYTHING)
        return [*self._configured, *(Route(one.destination_id, one.alert_kinds, one.team_id) for one in stored)]


async def _of_budgets(
    connection: AsyncConnection, kind: WatchedKind, watched: Sequence[WatchedBudget], at: datetime
) -> list[Alert]:
    standing = await budget_facts(connection, kind, watched, at)
    if kind != "platform":
        await put_standings(connection, [_standing(one, facts) for one, facts in standing])
    told = await list_told(connection, {facts.subject for _, facts in standing})
    found: list[Alert] = []
    for _, facts in standing:
        found += _lines(facts, told.get(facts.subject, []))
    expected = [(one, facts) for one, facts in standing if _may_be_forecast(facts)]
    plain = [one.ids for one, facts in expected if one.ids and "scope" not in owners_in(facts.owner.scope)]
    habits = await sources.spend_by_weekday(connection, kind, plain, at)
    for one, facts in expected:
        own = "scope" not in owners_in(facts.owner.scope)
        if (alert := _forecast(facts, habits.get(one.ids, _NO_HABIT) if own else _NO_HABIT, at)) is not None:
            found.append(alert)
    return found


def _standing(one: WatchedBudget, budget: BudgetFacts) -> BudgetStanding:
    """For the page of budgets, which shows the nearest to their limits."""
    line = budget.limit_nanousd if budget.limit_nanousd is not None else budget.soft_limit_nanousd or 0
    team_id = one.ids[0] if one.kind == "member" else ""
    percent = percent_of(budget.spent_nanousd, line)
    return BudgetStanding(
        one.kind, team_id, one.ids[-1], one.budget.budget_id, one.budget.part, percent, budget.window.end
    )


def _lines(budget: BudgetFacts, told: Sequence[Told]) -> Iterator[Alert]:
    """Of the lines that were crossed since the last look the highest is sent, and the others are noted.

    Beside a limit a soft one is told of when it is reached, and not on the way there.
    """
    limit, soft = budget.limit_nanousd, budget.soft_limit_nanousd
    if limit is not None:
        yield from _sent_last(_new(budget, limit, told, "budget.threshold_reached"), words.threshold_reached, budget)
    if soft is not None:
        new = _new(budget, soft, told, "budget.soft_limit_reached")
        yield from _sent_last([one for one in new if limit is None or one == 100], words.soft_limit_reached, budget)


def _new(budget: BudgetFacts, limit: int, told: Sequence[Told], kind: str) -> list[int]:
    return crossed(budget.spent_nanousd, limit, [one for one in told if one.kind == kind])


def _sent_last(
    percents: Sequence[int], say: Callable[[BudgetFacts, int], Alert], budget: BudgetFacts
) -> Iterator[Alert]:
    for percent in percents:
        yield replace(say(budget, percent), sent=percent == percents[-1])


def _may_be_forecast(budget: BudgetFacts) -> bool:
    """Not of what is nearly spent: that has been said."""
    limit, window = budget.limit_nanousd or budget.soft_limit_nanousd or 0, budget.window
    if window.end is None or window.end - window.start < FORECAST_SHORTEST:
        return False
    return 0 < budget.spent_nanousd * 100 < limit * 90


def _forecast(budget: BudgetFacts, by_weekday: Sequence[int], at: datetime) -> Alert | None:
    weights, limit = weights_of(by_weekday), budget.limit_nanousd or budget.soft_limit_nanousd or 0
    expected = forecast(budget.spent_nanousd, budget.window, at, weights)
    if expected is None or expected < limit:
        return None
    when = reached_at(budget.spent_nanousd, limit, budget.window, at, weights)
    return words.forecast_exceeded(budget, expected, when)


async def _of_velocity(connection: AsyncConnection, kind: Literal["key", "team"], at: datetime) -> list[Alert]:
    """Not twice within a day of the same owner."""
    hour_ago = _floor(at - timedelta(hours=1), QUARTER_S)
    dear = await sources.spend_since(connection, kind, hour_ago, VELOCITY_LEAST_NANOUSD)
    since, until = _floor(at - _USUAL_OF, HOUR_S), _floor(hour_ago, HOUR_S)
    usual = await sources.active_hours(connection, kind, dear.keys(), since, until)
    unusual = {name: spent for name, spent in dear.items() if is_far_above_usual(spent, usual.get(name, ()))}
    owners = await sources.name_owners(connection, kind, unusual.keys())
    alerts = [
        words.spends_faster(owner, unusual[name], sum(usual[name]) // len(usual[name]), _floor(at, HOUR_S))
        for name, owner in owners.items()
    ]
    told = await last_told(connection, {alert.subject for alert in alerts})
    return [alert for alert in alerts if at - told.get(alert.subject, _SINCE_EVER) >= _QUIET_FOR]


async def _of_prices(connection: AsyncConnection, since: datetime, at: datetime) -> list[Alert]:
    uses = await sources.unpriced_uses(connection, since)
    return [words.unpriced_model(use.provider, use.model, use.calls, use.cost_nanousd, at) for use in uses]


async def _of_keys(connection: AsyncConnection, at: datetime) -> list[Alert]:
    found = await sources.expiring_keys(connection, at, at + timedelta(days=max(EXPIRY_NOTICES_DAYS)))
    notices = [(key, expiry_notice(key.created_at, key.expires_at, at)) for key in found]
    return [words.key_expires(key.owner, key.expires_at, days) for key, days in notices if days is not None]


def _floor(at: datetime, grain_s: int) -> datetime:
    return at - timedelta(seconds=int(at.timestamp()) % grain_s, microseconds=at.microsecond)
