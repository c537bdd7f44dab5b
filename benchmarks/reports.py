"""How long reports of thirty days take over five million receipts, and what it costs to book a thousand a second.

``python -m benchmarks.reports``: embedded servers of its own, demo data in them, nothing left behind.
"""

import asyncio
import os
import random
import shutil
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.demo_data.filling import DemoData
from app.admin.spend import Ask, Spend
from app.base.clock import now
from app.base.ids import new_id
from app.embedded import EmbeddedServers
from app.providers.price_book import PriceBook
from app.storage.books import Books
from app.storage.postgres.credentials import CredentialCipher
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import upgrade
from app.storage.postgres.tables.reports import SPEND, SPEND_BY_TAG
from app.storage.redis.client import script_runner
from app.storage.redis.ledger import RedisLedger
from tests.storage.ledger_support import make_receipt

RECEIPTS, DAYS = 5_000_000, 30
DRAINED = 10_000

ASKS = {
    "teams and days, UTC": Ask(interval="day", group_by=("team",)),
    "cost centres and days, UTC": Ask(interval="day", group_by=("cost_center",)),
    "teams and days, Europe/Berlin": Ask(interval="day", group_by=("team",), timezone="Europe/Berlin"),
    "teams and days, Asia/Kolkata": Ask(interval="day", group_by=("team",), timezone="Asia/Kolkata"),
    "teams and days, America/Los_Angeles": Ask(interval="day", group_by=("team",), timezone="America/Los_Angeles"),
    "teams and days, Pacific/Auckland": Ask(interval="day", group_by=("team",), timezone="Pacific/Auckland"),
    "keys and models, all days as one, Asia/Kolkata": Ask(group_by=("key", "model"), timezone="Asia/Kolkata"),
    "models and hours, Europe/Berlin": Ask(interval="hour", group_by=("model",), timezone="Europe/Berlin"),
    "tags and days, UTC": Ask(interval="day", group_by=("tag",)),
    "one key by days, Europe/Berlin": Ask(
        interval="day", group_by=("model",), only={"key": ("key_checkout_assistant",)}, timezone="Europe/Berlin"
    ),
}


async def measure_reports(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        for table in (*SPEND.values(), *SPEND_BY_TAG.values()):
            row = (await connection.execute(text(f"SELECT count(*), sum(requests) FROM {table.name}"))).one()
            print(f"{table.name:<22}{row[0]:>10} rows {row[1]:>10} receipts")
    spend = Spend(engine)
    last = now().date()
    for name, ask in ASKS.items():
        asked = Ask(last - timedelta(days=DAYS - 1), last, ask.timezone, ask.interval, ask.group_by, ask.only)
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
    await DemoData(engine, b"benchmark", CredentialCipher(b"benchmark"), PriceBook.load(None)).fill(RECEIPTS)
    print(f"filled in {time.perf_counter() - before:.0f} s")
    await measure_reports(engine)
    await measure_drain(engine, redis_url)
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
