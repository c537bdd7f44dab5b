"""The use case of demo data: an empty database becomes that of a company that has used its gateway for sixty days."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor
from app.admin.alert_watch import AlertWatch
from app.admin.closing import Closing
from app.admin.demo_data.company import PERSONAS, RECEIPTS, TEAMS, BudgetState, DemoKey, keys_for, people_for
from app.admin.demo_data.plan import DAYS, Plan
from app.admin.demo_data.rows import Rows, company_rows, demo_password, later_life, model_rows
from app.admin.passwords import Passwords
from app.base.clock import now
from app.base.errors import Unprocessable
from app.base.money import NANO_PER_USD, NanoUSD
from app.domain.alert_words import Ejection
from app.providers.price_book import PriceBook
from app.storage.postgres import demo_receipts
from app.storage.postgres.aggregates import sum_up
from app.storage.postgres.audit import AuditEntry, insert_entries, list_entries
from app.storage.postgres.credentials import CredentialCipher
from app.storage.postgres.demo_contents import count_contents, date_alerts, set_limit
from app.storage.postgres.engine import reading, transaction
from app.storage.postgres.owner_spend import spend_of_owners
from app.storage.postgres.partitions import create_partitions
from app.storage.postgres.tables.activity import session_activity

SEED = 7
_AT_ONCE = 150_000
"""Receipts whose sums are added in one statement: what it sorts stays in memory."""
_MARK = ("demo_data", "company")
# How much of its budget is spent, in thousandths.
_SPENT: Mapping[BudgetState, int] = {"comfortable": 420, "near": 930, "over": 1_030, "soft": 780}
_TEAMS_SPENT = (640, 910, 350, 1_010, 550, 720, 480)
_LEAST_LIMIT: NanoUSD = NANO_PER_USD
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Filled:
    """``receipts`` None: the database had its demo data already."""

    receipts: int | None
    password: str
    people: Mapping[str, str]


class DemoData:
    """``pepper`` is that of keys; ``cipher`` seals what stands for secrets of providers; ``book`` has the prices."""

    def __init__(self, engine: AsyncEngine, pepper: bytes, cipher: CredentialCipher, book: PriceBook) -> None:
        self._engine = engine
        self._pepper = pepper
        self._cipher = cipher
        self._book = book

    async def fill(self, receipts: int = RECEIPTS, seed: int = SEED) -> Filled:
        """About so many receipts, in one transaction; nothing where demo data are there already.

        Raises Unprocessable for a database that holds anything else.
        """
        password = demo_password(self._pepper)
        people = {title: human.email for title, human in PERSONAS.items()}
        password_hash = await Passwords().hash(password)
        async with transaction(self._engine) as connection:
            if await list_entries(connection, *_MARK):
                return Filled(None, password, people)
            await _refuse_other_data(connection)
            booked = await self._write(connection, receipts, seed, password_hash)
        async with reading(self._engine) as connection:
            await demo_receipts.look_over(connection)
        await self._after(now())
        return Filled(booked, password, people)

    async def _write(self, connection: AsyncConnection, receipts: int, seed: int, password_hash: str) -> int:
        until = now()
        people = people_for(receipts)
        keys = keys_for(people)
        plan = Plan(keys, receipts, seed, until, self._book)
        founded = plan.days[0] - timedelta(days=3) + timedelta(hours=9)
        rows = company_rows(people, keys, founded, self._pepper, password_hash)
        model_rows(rows, self._cipher, self._book, founded + timedelta(hours=1))
        later_life(rows, plan.days, until, random.Random(seed))  # noqa: S311  plausible, not secret
        await _insert(connection, rows)
        await create_partitions(connection, plan.days[0], months_ahead=DAYS // 28 + 1)
        booked = await _book(connection, plan, seed, until, receipts)
        await demo_receipts.add_to_keys(connection)
        await _insert_work(connection, plan)
        await _set_limits(connection, keys, until)
        made = AuditEntry(
            until, "keyhouse", None, None, "demo_data.fill", *_MARK, None, {"receipts": booked, "seed": seed}
        )
        await insert_entries(connection, [*sorted(rows.audit, key=lambda entry: entry.at), made])
        return booked

    async def _after(self, at: datetime) -> None:
        """What follows from the data, by the same services as ever: the month before the last is closed, and alerts."""
        month = (at.replace(day=1) - timedelta(days=32)).date().replace(day=1)
        await Closing(self._engine).close(month, Actor("keyhouse"))
        watch = AlertWatch(self._engine)
        for days, model in ((26, "gpt-5.2"), (4, "claude-opus-4-8")):
            ago = at - timedelta(days=days, hours=3)
            name = model.replace("-", "_").replace(".", "_")
            provider = "openai" if model.startswith("gpt") else "anthropic"
            await watch.note_ejection(Ejection(f"dep_{provider}_{name}_direct", provider, model, "rate_limited", ago))
        await watch.look(at)
        async with transaction(self._engine) as connection:
            await date_alerts(connection, at)


async def _refuse_other_data(connection: AsyncConnection) -> None:
    found = [f"{count} {name}" for name, count in (await count_contents(connection)).items() if count]
    if found:
        raise Unprocessable(
            f"demo data go into an empty database only, and this one holds {', '.join(found)}; "
            "give a folder of their own: KEYHOUSE_HOME=/tmp/keyhouse-demo keyhouse serve --demo-data"
        )


async def _insert(connection: AsyncConnection, rows: Rows) -> None:
    """Rows of one table that stand together go in one statement."""
    waiting: list[dict[str, Any]] = []
    for place, (table, values) in enumerate(rows.inserted):
        waiting.append(values)
        following = rows.inserted[place + 1] if place + 1 < len(rows.inserted) else None
        if following is None or following[0] is not table or following[1].keys() != values.keys():
            await connection.execute(insert(table), waiting)
            waiting = []


async def _book(connection: AsyncConnection, plan: Plan, seed: int, until: datetime, receipts: int) -> int:
    """All receipts first, then their sums: a run may last beyond midnight."""
    await demo_receipts.make_room(connection)
    for day in plan.days:
        await demo_receipts.write_runs(connection, list(plan.runs(day)), seed, until)
    step = max(1, _AT_ONCE * DAYS // max(1, receipts))
    booked = 0
    for first in range(0, len(plan.days), step):
        since = plan.days[first]
        booked += await sum_up(connection, since, since + timedelta(days=step))
    return booked


async def _insert_work(connection: AsyncConnection, plan: Plan) -> None:
    values = [
        {
            "session_id": one.run.session_id,
            "day": one.run.started_at.astimezone(UTC).date(),
            **{name: getattr(one.run, name) or "" for name in ("organization_id", "team_id", "user_id", "key_id")},
            "project_id": one.run.project_id or "",
            **one.activity._asdict(),
        }
        for one in plan.work
    ]
    for first in range(0, len(values), _ROWS_AT_ONCE):
        await connection.execute(insert(session_activity), values[first : first + _ROWS_AT_ONCE])


async def _set_limits(connection: AsyncConnection, keys: Sequence[DemoKey], at: datetime) -> None:
    """Budgets of round dollars, of which as much is spent this month as the company is meant to show."""
    month = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    wanted = {("key_id", key.key_id): (_SPENT[key.state], key.state == "soft") for key in keys if key.state is not None}
    for team, spent in zip(TEAMS, _TEAMS_SPENT, strict=True):
        wanted["team_id", team.team_id] = (spent, False)
    for column in ("key_id", "team_id"):
        owners = [owner for named, owner in wanted if named == column]
        found = await spend_of_owners(connection, (column,), [((owner,), month) for owner in owners])
        for owner in owners:
            share, is_soft = wanted[column, owner]
            limit = max(_LEAST_LIMIT, _rounded(found[owner,].window_nanousd * 1_000 // share))
            await set_limit(connection, f"budget_{owner}", limit, is_soft=is_soft)


def _rounded(amount: NanoUSD) -> NanoUSD:
    """To two digits: 4.7 or 120 dollars."""
    digits = str(max(1, amount * 10 // NANO_PER_USD))
    return int(digits[:2].ljust(len(digits), "0")) * NANO_PER_USD // 10
