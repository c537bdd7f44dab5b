"""Small records for the tests of the domain."""

from datetime import UTC, datetime
from typing import Any

from app.base.ids import DeploymentId, KeyId, TeamId
from app.domain.catalog import Deployment, Model
from app.domain.keys import VirtualKey
from app.domain.pricing import PriceSheet, Rates, always
from app.domain.teams import Team

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def flat_rates(rate: int) -> Rates:
    return Rates(rate, rate, rate, rate, rate, rate, rate, rate, rate, rate)


FREE = always(PriceSheet("test:0", "config", flat_rates(0)))


def deployment(upstream_model: str, provider: str = "anthropic", **fields: Any) -> Deployment:
    return Deployment(
        **{
            "deployment_id": DeploymentId(f"dep_{upstream_model}"),
            "provider": provider,
            "upstream_model": upstream_model,
            "api_base": "https://upstream.test",
            "api_key": None,
            "prices": FREE,
        }
        | fields
    )


def model(name: str, *deployments: Deployment, **fields: Any) -> Model:
    own = deployments or (deployment(name.partition("/")[2] or name),)
    return Model(**{"name": name, "deployments": own, "display_name": name, "description": ""} | fields)


def virtual_key(**fields: Any) -> VirtualKey:
    key: dict[str, Any] = {"key_id": KeyId("key_1"), "last_four": "4f2a", "created_at": EPOCH}
    return VirtualKey(**key | fields)


def team(**fields: Any) -> Team:
    return Team(**{"team_id": TeamId("team_1")} | fields)
