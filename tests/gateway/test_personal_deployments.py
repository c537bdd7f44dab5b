"""A deployment on one person's token serves that person alone, and a refusal says why."""

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from app.base.errors import ModelNotAllowed
from app.base.ids import UserId
from app.base.metrics import Metrics
from app.domain.access import Principal
from app.domain.catalog import Catalog, Model
from app.domain.routing import RoutingRules
from app.gateway.admit import Admission, AdmissionRules
from app.gateway.discover import Discovery
from app.gateway.exchange import Exchanges
from app.gateway.router import Router
from app.providers.prices import LivePrices
from tests.fakes.ports import NotingLedger, OneCatalog
from tests.gateway.examples import DEPLOYMENT, KEY

OF_ADA = replace(DEPLOYMENT, owner_user_id="ada")
CATALOG = OneCatalog(
    Catalog((Model("personal", (OF_ADA,), "Personal", ""), Model("mixed", (OF_ADA, DEPLOYMENT), "Mixed", "")))
)
ADA, BOB = Principal(replace(KEY, user_id=UserId("ada"))), Principal(replace(KEY, user_id=UserId("bob")))


@pytest.fixture
def admission() -> Admission:
    router = Router(RoutingRules(), Metrics(CollectorRegistry()))
    return Admission(CATALOG, NotingLedger(), Exchanges({}), AdmissionRules(), LivePrices(), router)


def test_the_owner_is_served_by_all_and_another_by_what_is_shared(admission: Admission) -> None:
    assert admission.find_model(ADA, "mixed").deployments == (OF_ADA, DEPLOYMENT)
    assert admission.find_model(BOB, "mixed").deployments == (DEPLOYMENT,)
    assert admission.find_model(ADA, "personal").deployments == (OF_ADA,)


def test_another_is_told_that_the_token_is_somebody_elses(admission: Admission) -> None:
    with pytest.raises(ModelNotAllowed, match="personal token of another user"):
        admission.find_model(BOB, "personal")

    assert Discovery(CATALOG).find(BOB, "personal") is None
    assert [model.name for model in Discovery(CATALOG).visible(BOB)] == ["mixed"]


def test_the_master_key_is_refused_nothing(admission: Admission) -> None:
    assert admission.find_model(replace(BOB, is_admin=True), "personal").deployments == (OF_ADA,)
