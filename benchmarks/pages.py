"""How long the server takes for each page over five million receipts of demo data.

``python -m benchmarks.pages``: a gateway of its own on embedded servers; the data are filled in some minutes, and kept
in ``--home`` where one is given. The pages are those of the app's routes, as an owner sees them; and the dearest of
them as others do, who reach less.
"""

import argparse
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.admin.demo_data.company import OWNER, PEOPLE, Human
from app.admin.demo_data.rows import demo_password
from app.base.clock import now
from benchmarks.processes import House
from tests.browser.addresses import SIGNED_OUT, address_of, filled_in, latest_of, page_paths
from tests.fakes import gateway_process
from tests.fakes.gateway_process import MASTER_KEY, GatewayProcess

RECEIPTS = 5_000_000
CALLS = 10
GOAL_MS = 100
START_TIMEOUT_S = 3_600.0
_TYPED_S = 3
_SECRET = b"pepper-of-the-tests"  # of GatewayProcess
_SHARED_BUDGET = "seat"
_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
# What pages are asked beside their plain address, and may look through more for.
FURTHER = (
    "/ui/keys?sort=spend",
    "/ui/requests?span=30d",
    "/ui/requests?span=30d&result=failed",
    "/ui/requests?span=30d&key=checkout-assistant",
    "/ui/requests?span=30d&model=text-embedding-3-small&result=failed",
    "/ui/requests?span=30d&cost_center=CC-4100",
    "/ui/requests?span=30d&cost_center=CC-9001+Programmes&result=failed",
    "/ui/requests?span=30d&key=checkout-assistant&result=failed",
    "/ui/requests?span=30d&customer=customer_04&result=failed",
    "/ui/requests?span=30d&customer=customer_14&result=cut",
    "/ui/requests?span=30d&without=project&result=failed",
    "/ui/requests?span=30d&key=nobody",
    "/ui/spend?by=key",
    "/ui/spend?by=cost_center",
    "/ui/spend?by=session",
    "/ui/spend?by=session&model=claude-sonnet-4-6",
    "/ui/spend?by=session&request_class=main",
    "/ui/spend?by=session&provider=anthropic",
    "/ui/spend?by=session&project=help-desk",
    "/ui/spend?by=session&tag=production",
    "/ui/spend?by=session&cost_center=CC-4100",
    "/ui/spend?by=tag&cost_center=CC-4100",
)
# Whose reach is less than everything: an admin of an organization, of a team, and a developer.
OTHERS = tuple(human for human in PEOPLE if human.first in ("Ines", "Tom", "Jonas"))
FOR_OTHERS = (
    "/ui", "/ui/my-spend", "/ui/keys", "/ui/teams", "/ui/budgets", "/ui/chargeback", "/ui/spend", "/ui/spend?by=key",
    "/ui/spend?by=model", "/ui/spend?by=cost_center", "/ui/spend?by=day", "/ui/spend?by=session",
    "/ui/spend?by=session&provider=anthropic", "/ui/requests?span=30d", "/ui/requests?span=30d&result=failed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    address: str
    status: int
    first_ms: float
    warm_ms: tuple[float, ...]
    gateway_cpu_ms: float
    postgres_cpu_ms: float
    size: int

    @property
    def median_ms(self) -> float:
        return statistics.median(self.warm_ms)


def measure(client: httpx.Client, house: House, address: str) -> Measured:
    first = _timed(client, address)
    before = house.cpu_time()
    warm = tuple(_timed(client, address) for _ in range(CALLS))
    spent = house.cpu_time().since(before)
    answer = client.get(address)
    gateway_ms, postgres_ms = (seconds * 1_000 / CALLS for seconds in (spent.gateway_s, spent.postgres_s))
    return Measured(address, answer.status_code, first, warm, gateway_ms, postgres_ms, len(answer.content))


def _timed(client: httpx.Client, address: str) -> float:
    before = time.perf_counter()
    client.get(address)
    return (time.perf_counter() - before) * 1_000


@contextmanager
def running(home: Path, receipts: int) -> Iterator[GatewayProcess]:
    gateway_process.START_TIMEOUT_S = START_TIMEOUT_S
    settings = {"KEYHOUSE_CLAUDE_CODE_SIGN_IN": "true"}
    gateway = GatewayProcess(home, settings, "--demo-data", "--demo-receipts", str(receipts))
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


def signed_in(gateway: GatewayProcess, human: Human = OWNER) -> httpx.Client:
    client = httpx.Client(base_url=gateway.base_url, trust_env=False, timeout=60)
    token = _TOKEN.search(client.get("/ui/sign-in").text)
    assert token is not None
    time.sleep(_TYPED_S)  # a person types; the gateway makes its templates ready meanwhile
    form = {"email": human.email, "password": demo_password(_SECRET), "next": "/ui", "form_token": token[1]}
    assert client.post("/ui/sign-in", data=form).status_code == 303
    return client


def addresses(gateway: GatewayProcess) -> list[str]:
    headers = {"Authorization": f"Bearer {MASTER_KEY}"}
    with httpx.Client(base_url=gateway.base_url, headers=headers, trust_env=False, timeout=60) as admin:
        request_id, session_id = latest_of(admin, "key_ada_lindqvist_laptop")
        audit_id = admin.get("/audit").json()["audit_logs"][0]["id"]
        _share_a_budget(admin)
    found = {"REQUEST": request_id, "SESSION": session_id, "AUDIT": audit_id, "HOSTILEKEY": "key_checkout_assistant"}
    found |= {"MONTH": f"{now():%Y-%m}", "HOSTILENAME": _SHARED_BUDGET}
    pages = [filled_in(address_of(path) or path, found) for path in page_paths() if path not in SIGNED_OUT]
    return [*pages, *FURTHER]


def _share_a_budget(admin: httpx.Client) -> None:
    """The demo data share none. A home that is kept has it from the time before."""
    if admin.post("/budget/info", json={"budgets": [_SHARED_BUDGET]}).status_code == 404:
        made = admin.post("/budget/new", json={"budget_id": _SHARED_BUDGET, "max_budget": 50})
        made.raise_for_status()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--receipts", type=int, default=RECEIPTS)
    parser.add_argument("--home", type=Path, help="keep the data there, and use what is there")
    asked = parser.parse_args()
    home: Path = asked.home or Path(tempfile.mkdtemp(prefix="keyhouse-bench-", dir="/var/tmp")) / "home"
    home.parent.mkdir(parents=True, exist_ok=True)
    if asked.home is None:
        home.mkdir()
        for folder in (home.parent, home):  # the servers' account keeps its data in there, where they go with it
            folder.chmod(0o711)
    try:
        before = time.perf_counter()
        with running(home, asked.receipts) as gateway:
            print(f"ready after {time.perf_counter() - before:.0f} s, {asked.receipts:,} receipts")
            assert gateway.process is not None
            house = House(gateway.process.pid, home)
            with closing(signed_in(gateway)) as client:
                _print("the owner", [measure(client, house, address) for address in addresses(gateway)])
            for human in OTHERS:
                with closing(signed_in(gateway, human)) as client:
                    seen = [measure(client, house, address) for address in FOR_OTHERS]
                    _print(f"{human.first} ({human.role})", [one for one in seen if one.status == 200])
            print("milliseconds: as the client sees them, and CPU of a call in the gateway and in Postgres")
    finally:
        if asked.home is None:
            shutil.rmtree(home.parent)


def _print(who: str, found: list[Measured]) -> None:
    print(f"{'as ' + who:<66}{'first':>8}{'median':>8}{'worst':>8}{'gateway':>9}{'Postgres':>9}{'KiB':>7}")
    for one in sorted(found, key=lambda one: -one.median_ms):
        slow = " <- slow" if one.median_ms > GOAL_MS else ""
        status = "" if one.status == 200 else f" ({one.status})"
        print(
            f"{one.address + status:<66}{one.first_ms:>8.0f}{one.median_ms:>8.0f}{max(one.warm_ms):>8.0f}"
            f"{one.gateway_cpu_ms:>9.0f}{one.postgres_cpu_ms:>9.0f}{one.size / 1024:>7.0f}{slow}"
        )


if __name__ == "__main__":
    main()
