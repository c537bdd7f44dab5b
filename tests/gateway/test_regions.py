"""Who is kept to a region is served by its deployments alone, and told so where there is none."""

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from app.base.errors import ModelNotAllowed
from app.base.ids import DeploymentId
from app.base.metrics import Metrics
from app.domain.access import Principal
from app.domain.catalog import Catalog, Model
from app.domain.routing import RoutingRules
from app.domain.tenancy import Level
from app.gateway.admit import Admission, AdmissionRules
from app.gateway.discover import Discovery
from app.gateway.exchange import Exchanges
from app.gateway.router import Router
from app.providers.prices import LivePrices
from tests.fakes.ports import NotingLedger, OneCatalog
from tests.gateway.examples import DEPLOYMENT, KEY
from tests.gateway.test_attempts import Farm, hosted, refuses

SOMEWHERE = DEPLOYMENT
EU, US = (replace(DEPLOYMENT, deployment_id=DeploymentId(f"dep_{region}"), region=region) for region in ("eu", "us"))
CATALOG = OneCatalog(
    Catalog(
        tuple(
            Model(name, deployments, name, "")
            for name, deployments in (("both", (EU, US, SOMEWHERE)), ("american", (US,)), ("unsaid", (SOMEWHERE,)))
        )
    )
)
EUROPEAN = replace(KEY, region="eu")


def team(region: str) -> Level:
    return Level("team", "team:red", 'team "red"', region=region)


@pytest.fixture
def admission() -> Admission:
    router = Router(RoutingRules(), Metrics(CollectorRegistry()))
    return Admission(CATALOG, NotingLedger(), Exchanges({}), AdmissionRules(), LivePrices(), router)


@pytest.mark.parametrize("principal", [Principal(EUROPEAN), Principal(KEY, levels=(team("eu"),))])
def test_the_region_of_a_key_or_of_a_level_above_it_says_which_deployments_serve(
    admission: Admission, principal: Principal
) -> None:
    assert admission.find_model(principal, "both").deployments == (EU,)
    assert admission.find_model(Principal(KEY), "both").deployments == (EU, US, SOMEWHERE)
    assert [model.name for model in Discovery(CATALOG).visible(principal)] == ["both"]


@pytest.mark.parametrize("model", ["american", "unsaid"])
def test_what_is_elsewhere_or_of_which_nobody_says_where_it_is_does_not_serve(admission: Admission, model: str) -> None:
    with pytest.raises(ModelNotAllowed, match='team "red" is kept to "eu"'):
        admission.find_model(Principal(KEY, levels=(team("eu"),)), model)


def test_a_key_does_not_leave_the_region_of_its_team(admission: Admission) -> None:
    with pytest.raises(ModelNotAllowed, match='this key is kept to "eu" and team "red" is kept to "us"'):
        admission.find_model(Principal(EUROPEAN, levels=(team("us"),)), "both")


async def test_no_retry_and_no_fallback_leaves_the_region_and_others_go_where_they_did() -> None:
    home, away = replace(hosted("a"), region="eu"), replace(hosted("b"), region="us")
    rules = RoutingRules(fallbacks={"m": ("n",)})
    farm = Farm({"m": (home, away), "n": (hosted("c"),)}, {"a": refuses(500)}, rules)
    for _ in range(3):
        assert (await farm.ask(key=EUROPEAN)).status == 500
    assert set(farm.hosts.asked) == {"a"}
    assert (await farm.ask()).status == 200
    assert "b" in farm.hosts.asked
