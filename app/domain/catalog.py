"""The catalogue: which models there are, who hosts them, and what a name asked for means."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.base.ids import DeploymentId
from app.base.secret import Secret
from app.domain.pricing import PriceSheet


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, to the first byte of the answer, between two bytes, and for the whole call."""

    connect_s: int = 10
    first_byte_s: int = 600
    idle_s: int = 300
    total_s: int = 3600


@dataclass(frozen=True, slots=True)
class Deployment:
    """One host of a model. ``upstream_model`` is the host's own name; ``*`` in it takes what a wildcard matched.

    ``headers`` are added to each request (LiteLLM's ``extra_headers``); ours win over the caller's.
    """

    deployment_id: DeploymentId
    provider: str
    upstream_model: str
    api_base: str
    api_key: Secret | None
    price: PriceSheet
    headers: Mapping[str, str] = field(default_factory=dict)
    timeouts: Timeouts = field(default_factory=Timeouts)
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Model:
    """What a client asks for by ``name``; several deployments serve it alike. A name may be a wildcard: ``anthropic/*``."""

    name: str
    deployments: tuple[Deployment, ...]
    display_name: str
    description: str
    created_at_unix: int = 1_677_610_602
    access_groups: tuple[str, ...] = ()
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Resolved:
    """A name asked for, and the model it stands for (a wildcard already filled in)."""

    asked: str
    model: Model


class Catalog:
    """An immutable snapshot of the models; looked up by name without any store."""

    __slots__ = ("_by_name", "_unlisted_prices", "_wildcards", "models")

    def __init__(self, models: tuple[Model, ...], aliases: Mapping[str, str] | None = None) -> None:
        """``aliases`` are further exact names (bare, dated or undated ids) of listed models."""
        raise NotImplementedError
