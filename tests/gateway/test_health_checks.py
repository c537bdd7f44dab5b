"""Background health checks: who is called, what is found and told, and what it does to routing."""

from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry

from app.base.metrics import Metrics
from app.domain.catalog import Catalog, Model
from app.domain.routing import RoutingRules
from app.gateway.admit import AdmissionRules
from app.gateway.authenticate import MASTER_KEY_ID
from app.gateway.connection_check import ConnectionCheck
from app.gateway.health_checks import TAG, HealthChecks
from app.gateway.health_report import HealthReport
from app.gateway.router import Router
from app.gateway.settle import Settlement
from app.protocols.registry import all_codecs
from app.providers.prices import LivePrices
from tests.fakes.ports import NotingLedger, OneCatalog
from tests.gateway.test_attempts import Hosts, hosted, refuses


class Board:
    """Implements HealthBoard for as many processes as there are."""

    def __init__(self) -> None:
        self.found: bytes | None = None

    async def write(self, found: bytes) -> None:
        self.found = found

    async def read(self) -> bytes | None:
        return self.found


class Clinic:
    def __init__(self, *models: Model, routes: bool = False) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.catalog = OneCatalog(Catalog(models))
        self.ledger, self.hosts, self.board = NotingLedger(), Hosts({}), Board()
        self.settlement = Settlement(self.ledger, self.metrics)
        self.router = Router(RoutingRules(), self.metrics)
        check = ConnectionCheck(
            self.catalog, self.ledger, all_codecs(None), AdmissionRules(), LivePrices(), self.hosts, self.settlement,
            self.metrics,
        )  # fmt: skip
        self.checks = HealthChecks(self.catalog, check, self.router, self.board, self.metrics, routes=routes)

    def told_by(self, router: Router) -> HealthReport:
        return HealthReport(router, self.catalog, self.checks)


def model(name: str, *hosts: str, **changes: Any) -> Model:
    return Model(name, tuple(hosted(host, **changes) for host in hosts), name, "")


def ids(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["model_id"] for entry in entries]


async def test_each_deployment_is_called_once_by_one_token_on_nobodys_key() -> None:
    unasked = replace(hosted("c"), probed=False)
    wild = replace(hosted("d", "*"), probe_model="any/claude-haiku-4-5")
    clinic = Clinic(
        model("m", "a", "b"), Model("n", (unasked, hosted("a")), "n", ""), Model("any/*", (wild,), "any/*", ""),
        Model("other/*", (hosted("e", "*"),), "other/*", ""),
    )  # fmt: skip
    await clinic.checks.run()
    await clinic.settlement.drain(1)
    assert sorted(clinic.hosts.asked) == ["a", "b", "d"]
    assert all(b'"max_tokens":1' in body for body in clinic.hosts.bodies)
    receipts = clinic.ledger.settled
    assert {(one.key_id, one.user_id, one.team_id, one.tags, one.request_class) for one in receipts} == {
        (MASTER_KEY_ID, None, None, (TAG,), "probe")
    }
    assert [(one.deployment_id, one.problem) for one in await clinic.checks.last()] == [("a", ""), ("b", ""), ("d", "")]


async def test_what_one_process_found_every_process_tells_and_without_the_right_nothing_is_named() -> None:
    clinic = Clinic(model("m", "a", "b"), model("n", "c"))
    clinic.hosts.ways["b"] = refuses(500, b'{"type":"error","error":{"type":"api_error","message":"broken"}}')
    alarms: list[tuple[str, str]] = []
    clinic.checks.on_failure = lambda place, kind: alarms.append((place.deployment_id, kind))
    for _ in range(2):
        await clinic.checks.run()
    assert alarms == [("b", "server_error")]
    elsewhere = clinic.told_by(Router(RoutingRules(), clinic.metrics))
    facts = await elsewhere.facts(named=True)
    assert (ids(facts["healthy_endpoints"]), ids(facts["unhealthy_endpoints"])) == (["a", "c"], ["b"])
    [ill] = facts["unhealthy_endpoints"]
    assert (ill["model"], ill["model_name"], ill["error"]) == (
        "anthropic/claude-sonnet-4-5",
        "m",
        "anthropic answered 500: broken",
    )
    assert await elsewhere.facts(named=False) == {"models": 2, "healthy_count": 2, "unhealthy_count": 1}
    silent = HealthReport(clinic.router, clinic.catalog, clinic.checks, details=False)
    [ill] = (await silent.facts(named=True))["unhealthy_endpoints"]
    assert {"error", "api_base"}.isdisjoint(ill)


async def test_a_deployment_that_is_taken_away_is_told_of_no_more() -> None:
    clinic = Clinic(model("m", "a", "b"))
    clinic.hosts.ways["b"] = refuses(401)
    clinic.checks._routes = True
    await clinic.checks.run()
    told = clinic.told_by(clinic.router)
    assert [one["deployment"] for one in told.troubles()] == ["b"]
    clinic.catalog.catalog = Catalog((model("m", "a"),))
    facts = await told.facts(named=True)
    assert (facts["deployments"], ids(facts["healthy_endpoints"]), facts["unhealthy_endpoints"]) == ([], ["a"], [])


async def test_where_checks_route_what_fails_is_put_aside_and_what_answers_comes_back() -> None:
    for routes in (False, True):
        clinic = Clinic(model("m", "a", "b"), routes=routes)
        clinic.hosts.ways["a"] = refuses(429)
        await clinic.checks.run()
        assert [place.deployment_id for place, _ in clinic.router.standings.troubled()] == ["a"] * routes
        clinic.hosts.ways.clear()
        await clinic.checks.run()
        assert list(clinic.router.standings.troubled()) == []
