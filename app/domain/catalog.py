"""The catalogue: which models there are, who hosts them, and what a name asked for means."""

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from app.base.ids import DeploymentId
from app.base.money import NanoUSD
from app.base.secret import Secret
from app.domain.budgets import Budget
from app.domain.pricing import PriceSchedule
from app.domain.tenancy import Level

PriceLookup = Callable[[str, str], PriceSchedule]
"""The prices of ``(provider, upstream_model)``; never None, as every model has a price."""

PICKER_PREFIX = "anthropic-gateway/"
"""Before the name of any model: the same model, for clients that list names only which begin like this one."""
LONGEST_NAME = 256
_FILLED_KEPT = 1024
_NEAREST_KEPT = 3
_LEAST_LIKENESS = 0.6
_DATED = re.compile(r"(.+?)[-@](20\d{2})-?(\d{2})-?(\d{2})", re.ASCII)


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

    ``headers`` are added to each request (LiteLLM's ``extra_headers``); ours win over the caller's. ``options`` are
    what else the host must be told, by LiteLLM's names: ``api_version``, ``aws_region_name``; some are secret.
    ``owner_user_id`` is whose keys alone it serves: its credential is one person's. ``native_tools`` is whether the
    model calls tools by itself, None where nobody has said. ``guarded``: it was made at run time, and only public
    addresses are called for it. ``prices`` are the operator's own or the bundled ones; ``base_model`` is whose they are
    where the host's name for the model says nothing. Of several deployments those of the lowest ``order`` come first,
    and each takes so many requests and tokens in a minute. ``retries`` is how often a failed call is tried again,
    ``cooldown_s`` for how long a failing deployment is put aside, where the router's own rules are not to hold.
    ``relays_logins``: a caller's own login may be sent there. ``tags`` are those of the calls that it is for, where
    such are told apart; ``most_running`` is how many calls it takes at once, ``max_input_tokens`` how long a prompt.
    ``probed``: health checks may call it, a wildcard's by the name ``probe_model``. ``region`` is where the
    operator says that it is, ``budgets`` what all its calls together may cost.
    """

    deployment_id: DeploymentId
    provider: str
    upstream_model: str
    api_base: str
    api_key: Secret | None
    prices: PriceSchedule
    headers: Mapping[str, str] = field(default_factory=dict)
    timeouts: Timeouts = field(default_factory=Timeouts)
    weight: int = 1
    options: Mapping[str, Secret] = field(default_factory=dict)
    preferred_protocol: str | None = None
    """In which to ask, of those that the host speaks, when the client's own is none of them."""
    owner_user_id: str | None = None
    native_tools: bool | None = None
    guarded: bool = False
    base_model: str | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    order: int | None = None
    retries: int | None = None
    cooldown_s: int | None = None
    relays_logins: bool = False
    tags: frozenset[str] = frozenset()
    most_running: int | None = None
    max_input_tokens: int | None = None
    probed: bool = True
    probe_model: str | None = None
    region: str | None = None
    budgets: tuple[Budget, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """What a client asks for by ``name``; several deployments serve it alike.

    A name may be a wildcard: ``anthropic/*``. ``other_names`` are those under which an allow-list may name the model
    too: with its provider, or without its date. ``claude_code_name`` is what the operator has Claude Code's picker
    show it by.
    """

    name: str
    deployments: tuple[Deployment, ...]
    display_name: str
    description: str
    created_at_unix: int = 1_677_610_602
    access_groups: tuple[str, ...] = ()
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    listed: bool = True
    other_names: tuple[str, ...] = ()
    generates_text: bool = True
    claude_code_name: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.other_names)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What LiteLLM's ``model_info`` says of a model. ``listed`` is its ``discoverable``, ``native_tools`` its
    ``supports_function_calling``, ``probed`` the opposite of its ``disable_background_health_check``, ``probe_model``
    its ``health_check_model``."""

    deployment_id: str | None = None
    display_name: str | None = None
    description: str | None = None
    access_groups: tuple[str, ...] = ()
    base_model: str | None = None
    mode: str | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    listed: bool = True
    native_tools: bool | None = None
    claude_code_name: str | None = None
    probed: bool = True
    probe_model: str | None = None


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One entry of ``model_list`` as written. ``upstream_model`` is without the provider's prefix.

    ``prices`` are dollars per unit by LiteLLM's names, as decimals; ``place`` says where the entry stands.
    ``timeout_s`` is for the whole call, ``stream_timeout_s`` for the first byte. ``managed``: it was made at run time.
    ``allow_relay`` None: callers' own logins may be sent to Anthropic's own host alone.
    """

    model_name: str
    provider: str
    upstream_model: str
    place: str
    api_base: str | None = None
    api_key: Secret | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: int | None = None
    stream_timeout_s: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    weight: int | None = None
    order: int | None = None
    retries: int | None = None
    cooldown_s: int | None = None
    tags: tuple[str, ...] = ()
    most_running: int | None = None
    region: str | None = None
    max_budget_nanousd: NanoUSD | None = None
    budget_duration: str | None = None
    info: ModelInfo = field(default_factory=ModelInfo)
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    options: Mapping[str, Secret] = field(default_factory=dict)
    managed: bool = False
    allow_relay: bool | None = None


class Catalog:
    """A snapshot of the models, which never changes; looked up by name without any store."""

    __slots__ = (
        "_aliases", "_by_deployment", "_by_name", "_by_undated", "_filled", "_price_of", "_wildcards", "group_budgets",
        "models",
    )  # fmt: skip

    def __init__(
        self,
        models: tuple[Model, ...],
        aliases: Mapping[str, str] | None = None,
        *,
        price_of: PriceLookup | None = None,
        group_budgets: Level | None = None,
    ) -> None:
        """``aliases`` are further exact names of models. ``price_of`` prices what a wildcard is filled in with, unless
        the configuration has given the wildcard a price of its own.

        ``group_budgets`` are what calls of the models in access groups may cost, of whatever key.
        Where several wildcards match, the one with the most letters outside its ``*`` is meant.
        """
        self.models = models
        self.group_budgets = group_budgets
        self._by_name = {model.name: model for model in models if "*" not in model.name}
        self._aliases = {alias: self._by_name[name] for alias, name in (aliases or {}).items()}
        self._by_deployment = {
            one.deployment_id: model for model in self._by_name.values() for one in model.deployments
        }
        wildcards = sorted((model for model in models if "*" in model.name), key=lambda model: -len(model.name))
        self._wildcards = [(wildcard_pattern(model.name), model) for model in wildcards]
        self._by_undated: dict[str, list[Model]] = {}
        for model in self._by_name.values():
            if (plain := undated(model.name)) is not None:
                self._by_undated.setdefault(plain, []).append(model)
        self._price_of = price_of
        self._filled: dict[str, Model] = {}

    def with_group(self, group: str, model_names: Collection[str]) -> "Catalog":
        """The same, where the access group holds these models and no others."""
        models = tuple(
            replace(
                model,
                access_groups=(
                    *(one for one in model.access_groups if one != group),
                    *((group,) if model.name in model_names else ()),
                ),
            )
            for model in self.models
        )
        aliases = {alias: model.name for alias, model in self._aliases.items()}
        return Catalog(models, aliases, price_of=self._price_of, group_budgets=self.group_budgets)

    @property
    def deployment_ids(self) -> frozenset[str]:
        """Of all that is served, a wildcard's as a whole."""
        return frozenset(place.deployment_id for model in self.models for place in model.deployments)

    def resolve(self, name: str) -> Model | None:
        """The model that ``name`` means: exactly, as an alias, by the id of one of its deployments (that alone serves
        then), behind the picker's prefix, by its provider, by a wildcard, by its date; else None.

        A wildcard that is a provider's whole name space keeps a dated name as it is, so that a pinned snapshot stays
        pinned; only where no wildcard takes the name does it stand for the one model with or without that date.
        """
        model = self._by_name.get(name) or self._filled.get(name) or self._aliases.get(name)
        if model is not None:
            return model
        if not name or len(name) > LONGEST_NAME or "*" in name or not name.isprintable():
            return None
        if name in self._by_deployment:
            return self._alone(name)
        if name.startswith(PICKER_PREFIX):
            return self.resolve(name.removeprefix(PICKER_PREFIX))
        return self._without_provider(name) or self._fill(name, narrow=True) or self._by_date(name) or self._fill(name)

    def nearest(self, name: str, among: Sequence[str]) -> list[str]:
        """At most three of ``among`` that look like ``name``, the likest first."""
        if len(name) > LONGEST_NAME:
            return []
        lowered = {candidate.lower(): candidate for candidate in among}
        close = difflib.get_close_matches(name.lower(), list(lowered), _NEAREST_KEPT, _LEAST_LIKENESS)
        return [lowered[candidate] for candidate in close]

    def _alone(self, deployment_id: str) -> Model:
        """One deployment of a model as a model, which is allowed, limited and paid for by the names of the whole."""
        model = self._by_deployment[DeploymentId(deployment_id)]
        of_it = tuple(one for one in model.deployments if one.deployment_id == deployment_id)
        alone = replace(model, name=deployment_id, deployments=of_it, claude_code_name=None, other_names=model.names)
        self._keep(deployment_id, alone)
        return alone

    def _keep(self, name: str, model: Model) -> None:
        if len(self._filled) >= _FILLED_KEPT:
            del self._filled[next(iter(self._filled))]
        self._filled[name] = model

    def _without_provider(self, name: str) -> Model | None:
        provider, slash, rest = name.partition("/")
        model = self._by_name.get(rest) if slash else None
        if model is None or all(deployment.provider != provider for deployment in model.deployments):
            return None
        return model

    def _by_date(self, name: str) -> Model | None:
        plain = undated(name)
        if plain is not None:
            return self._by_name.get(plain) or self._aliases.get(plain)
        dated = self._by_undated.get(name, ())
        return dated[0] if len(dated) == 1 else None

    def _fill(self, name: str, *, narrow: bool = False) -> Model | None:
        """``narrow`` leaves out ``*``, which takes any name at all."""
        if not name.isascii() or " " in name:
            return None
        for pattern, model in self._wildcards:
            match = None if narrow and model.name == "*" else pattern.fullmatch(name)
            if match is not None:
                filled = self._filled_in(model, name, match.groups())
                self._keep(name, filled)
                return filled
        return None

    def _filled_in(self, model: Model, name: str, parts: tuple[str, ...]) -> Model:
        deployments = []
        for deployment in model.deployments:
            upstream_model = deployment.upstream_model
            for part in parts:
                upstream_model = upstream_model.replace("*", part, 1)
            if model.name == "*":  # it took the provider's prefix too
                upstream_model = upstream_model.removeprefix(f"{deployment.provider}/")
            prices = deployment.prices
            if self._price_of is not None and prices.source != "config":
                prices = self._price_of(deployment.provider, upstream_model)
            deployments.append(
                replace(
                    deployment,
                    deployment_id=DeploymentId(f"{deployment.deployment_id}/{upstream_model}"),
                    upstream_model=upstream_model,
                    prices=prices,
                )
            )
        return replace(
            model,
            name=name,
            deployments=tuple(deployments),
            display_name=name,
            claude_code_name=None,
            other_names=other_names(name, deployments),
        )


def undated(name: str) -> str | None:
    """``claude-opus-4-5`` of ``claude-opus-4-5-20251101``; None for a name that ends in no real date."""
    match = _DATED.fullmatch(name)
    if match is None:
        return None
    try:
        date(int(match[2]), int(match[3]), int(match[4]))
    except ValueError:
        return None
    return match[1]


def other_names(name: str, deployments: Sequence[Deployment]) -> tuple[str, ...]:
    """What else a model is called whose name is that of its host's own model: with the provider, without the date."""
    names: dict[str, None] = {}
    for deployment in deployments:
        prefix = f"{deployment.provider}/"
        own = deployment.upstream_model.removeprefix(prefix)
        if name in {own, prefix + own}:
            for upstream_model in filter(None, (own, undated(own))):
                names |= dict.fromkeys((upstream_model, prefix + upstream_model))
    names.pop(name, None)
    return tuple(names)


def wildcard_pattern(wildcard: str) -> re.Pattern[str]:
    """One group for each ``*``, which takes one character or more."""
    return re.compile("(.+)".join(re.escape(part) for part in wildcard.split("*")))
