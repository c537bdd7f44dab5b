"""How long reports take over a month of five million receipts, and what it costs to book a thousand a second.

``python -m benchmarks.reports``: embedded servers of its own, about a minute, nothing left behind.
"""

import asyncio
import os
import random
import shutil
import statistics
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.spend import Ask, Spend
from app.base.ids import new_id
from app.embedded import EmbeddedServers
from app.storage.books import Books
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import upgrade
from app.storage.postgres.tables.reports import DIMENSIONS, MEASURES, SPEND, SPEND_BY_TAG
from app.storage.redis.client import script_runner
from app.storage.redis.ledger import RedisLedger
from tests.storage.ledger_support import make_receipt

FIRST, DAYS = date(2026, 10, 1), 30
KEYS, TEAMS, MODELS, QUARTERS_A_DAY = 525, 25, 2, 32
DRAINED = 10_000
_ORIGIN = "TIMESTAMPTZ '2000-01-01 00:00:00+00'"

ASKS = {
    "teams and days, UTC": Ask(interval="day", group_by=("team",)),
    "teams and days, Europe/Berlin": Ask(interval="day", group_by=("team",), timezone="Europe/Berlin"),
    "teams and days, Asia/Kolkata": Ask(interval="day", group_by=("team",), timezone="Asia/Kolkata"),
    "teams and days, America/Los_Angeles": Ask(interval="day", group_by=("team",), timezone="America/Los_Angeles"),
    "teams and days, Pacific/Auckland": Ask(interval="day", group_by=("team",), timezone="Pacific/Auckland"),
    "keys and models, whole month, Asia/Kolkata": Ask(group_by=("key", "model"), timezone="Asia/Kolkata"),
    "models and hours, Europe/Berlin": Ask(interval="hour", group_by=("model",), timezone="Europe/Berlin"),
    "tags and days, UTC": Ask(interval="day", group_by=("tag",)),
    "one key by days, Europe/Berlin": Ask(
        interval="day", group_by=("model",), only={"key": ("key_7",)}, timezone="Europe/Berlin"
    ),
}


async def fill(engine: AsyncEngine) -> None:
    """The sums of some five million receipts: each key works eight hours a day, with two models."""
    measures = ", ".join(MEASURES)
    amounts = ", ".join(
        "n" if name == "requests" else "0" if name == "failures" else "n * 1000003" for name in MEASURES
    )
    names = ", ".join(DIMENSIONS)
    owners = (
        f"'', 'team_' || k % {TEAMS}, 'user_' || k, 'key_' || k, '', 'model ' || m, 'model ' || m, 'anthropic', "
        "'project ' || k % 7, 'main', 'usage'"
    )
    first = f"TIMESTAMPTZ '{FIRST} 00:00:00+00'"
    for tables, further, value in ((SPEND, "tagged", "true"), (SPEND_BY_TAG, "tag", "'tag ' || k % 40")):
        quarters, hours, days = (table.name for table in tables.values())
        async with engine.begin() as connection:
            await connection.execute(
                text(
                    f"INSERT INTO {quarters} (bucket, digest, {names}, {further}, {measures}) "
                    f"SELECT {first} + d * interval '1 day' + (k % 16 + 24 + q) * interval '15 min', "
                    f"substr(sha256(convert_to(ROW(k, m)::text, 'UTF8')), 1, 16), {owners}, {value}, {amounts} "
                    f"FROM generate_series(0, {DAYS - 1}) AS d, generate_series(0, {QUARTERS_A_DAY - 1}) AS q, "
                    f"generate_series(1, {KEYS}) AS k, generate_series(1, {MODELS}) AS m, "
                    "LATERAL (SELECT (3 + (k * 7 + q * 3 + d) % 5)::bigint AS n) AS counted"
                )
            )
            sums = ", ".join(f"sum({name})::bigint" for name in MEASURES)
            for finer, coarser, length in ((quarters, hours, "1 hour"), (hours, days, "1 day")):
                await connection.execute(
                    text(
                        f"INSERT INTO {coarser} (bucket, digest, {names}, {further}, {measures}) "
                        f"SELECT date_bin('{length}', bucket, {_ORIGIN}), digest, {names}, {further}, {sums} "
                        f"FROM {finer} WHERE bucket < {first} + interval '{DAYS} days' "
                        f"GROUP BY 1, 2, {names}, {further}"
                    )
                )
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))


async def measure_reports(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        for table in (*SPEND.values(), *SPEND_BY_TAG.values()):
            row = (await connection.execute(text(f"SELECT count(*), sum(requests) FROM {table.name}"))).one()
            print(f"{table.name:<22}{row[0]:>10} rows {row[1]:>10} receipts")
    spend = Spend(engine)
    last = FIRST + timedelta(days=DAYS - 1)
    for name, ask in ASKS.items():
        asked = Ask(FIRST, last, ask.timezone, ask.interval, ask.group_by, ask.only)
        times, cells = [], 0
        for _ in range(7):
            before = time.perf_counter()
            cells = len((await spend.report(asked)).cells)
            times.append((time.perf_counter() - before) * 1_000)
        print(f"{name:<46}{statistics.median(times):>7.0f} ms (worst {max(times):.0f}), {cells} cells")


async def measure_drain(engine: AsyncEngine, redis_url: str) -> None:
    runner = script_runner(redis_url)
    ledger = RedisLedger(runner, lease_s=60)
    books = Books(engine, ledger)
    generator = random.Random(7)
    for number in range(DRAINED):
        receipt = replace(
            make_receipt(new_id("req"), 1_000 + number, key_id=f"key_{generator.randrange(200)}"),
            model_served=f"model {generator.randrange(3)}",
            team_id=f"team_{generator.randrange(20)}",
        )
        await ledger.settle(receipt, 1)
    before, own, servers = time.perf_counter(), time.process_time(), children_cpu_s("postgres")
    while await books.drain_once():
        pass
    seconds, own, servers = (
        time.perf_counter() - before, time.process_time() - own, children_cpu_s("postgres") - servers
    )  # fmt: skip
    thousands = DRAINED / 1_000
    print(
        f"drain: {DRAINED / seconds:.0f} receipts/s at most; at 1000/s: worker {own / thousands:.1%} of a core, "
        f"Postgres {servers / thousands:.1%}"
    )
    await ledger.close()
    await runner.close()


def children_cpu_s(name: str) -> float:
    """CPU time of all running processes of this name that this process started, and of what they started."""
    stats = {}
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit():
                head, _, tail = (folder / "stat").read_text().rpartition(")")
                fields = tail.split()
                stats[int(folder.name)] = (head.partition("(")[2], int(fields[1]), int(fields[11]) + int(fields[12]))
        except OSError:
            continue

    def is_ours(pid: int) -> bool:
        while pid in stats and pid != os.getpid():
            pid = stats[pid][1]
        return pid == os.getpid()

    found = sum(ticks for pid, (command, _, ticks) in stats.items() if command.startswith(name) and is_ours(pid))
    return found / os.sysconf("SC_CLK_TCK")


async def measure(database_url: str, redis_url: str) -> None:
    await upgrade(database_url)
    engine = create_engine(database_url)
    before = time.perf_counter()
    await measure_drain(engine, redis_url)
    await fill(engine)
    print(f"filled in {time.perf_counter() - before:.0f} s")
    await measure_reports(engine)
    await engine.dispose()


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="keyhouse-bench-", dir="/var/tmp"))
    home.chmod(0o711)
    servers = EmbeddedServers(home, die_with_parent=True)
    servers.start()
    try:
        asyncio.run(measure(servers.database_url, servers.redis_url))
    finally:
        servers.stop()
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
