"""Builds the catalogue from what the operator wrote: the model_list of the file, or the credentials alone."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from app.admin.catalog_entries import TEXT_MODES, budgets_of, entry_of, generates_text, name_patterns, relays_logins
from app.admin.deployment_needs import default_base, no_address, no_key_of_its_own, what_is_missing
from app.admin.model_settings import ModelSettings
from app.base.ids import DeploymentId
from app.base.secret import Secret
from app.domain.budgets import Budget
from app.domain.catalog import (
    Catalog,
    Deployment,
    Model,
    ModelEntry,
    ModelInfo,
    Timeouts,
    other_names,
    wildcard_pattern,
)
from app.domain.tenancy import PLATFORM, Level
from app.providers.host_table import HOSTS
from app.providers.hosts import Credential, Host
from app.providers.price_book import PriceBook

DEMO_MODELS = {
    "demo/echo": ("Demo echo", "Says the last user message again."),
    "demo/lorem": ("Demo lorem", "Writes filler text up to max_tokens."),
    "demo/tools": ("Demo tools", "Calls the first tool that it is given."),
    "demo/slow": ("Demo slow", "Writes filler text at ten words a second."),
}
_RESPONSES = "responses/"
"""LiteLLM's way to say that a model is to be asked by the Responses API: ``openai/responses/gpt-5``."""
_OWNER = "owner_user_id"
"""The option of a host whose credentials are personal: each serves the keys of one user."""
_PROBED_MODES = TEXT_MODES | {"embedding"}
ANY_PROVIDER = "*"
"""The provider of an entry whose litellm_params.model is ``*``: each one that has a credential."""


@dataclass(frozen=True, slots=True)
class Managed:
    """What was made at run time: entries, the access groups by the names of their models, and budgets of groups."""

    entries: tuple[ModelEntry, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    budgets: tuple[Budget, ...] = ()


_NOTHING = Managed()


def build_catalog(
    settings: ModelSettings, price_book: PriceBook, managed: Managed = _NOTHING
) -> tuple[Catalog, list[str]]:
    """The catalogue, and a sentence for each entry that is left out or changed."""
    builder = _Builder(settings, price_book)
    builder.add_all(managed)
    models = tuple(builder.models(managed.groups))
    aliases = {model.claude_code_name: model.name for model in models if model.claude_code_name is not None}
    names = {model.name for model in models}
    for alias, name in settings.model_aliases.items():
        if name in names and "*" not in name:
            aliases[alias] = name
        else:
            builder.notices.append(f'model_group_alias "{alias}" is left out: there is no model "{name}"')
    of_groups = Level("platform", PLATFORM, "the platform", budgets=managed.budgets) if managed.budgets else None
    return Catalog(models, aliases, price_of=builder.book.schedule, group_budgets=of_groups), builder.notices


def why_left_out(settings: ModelSettings, price_book: PriceBook, entry: ModelEntry) -> str | None:
    """What an entry lacks for being served."""
    builder = _Builder(settings, price_book)
    for concrete in builder.spread(entry):
        builder.add(concrete)
    return next((why.removesuffix(", and restart") for why in builder.left_out), None)


@dataclass(frozen=True, slots=True)
class _Placed:
    """An entry with the deployment made of it."""

    entry: ModelEntry
    deployment: Deployment


class _Builder:
    def __init__(self, settings: ModelSettings, book: PriceBook) -> None:
        self.book = book
        self.notices: list[str] = []
        self.left_out: list[str] = []
        self._settings = settings
        self._ids: dict[str, int] = {}
        self._groups: dict[str, list[_Placed]] = {}
        self._picker_names: dict[str, str] = {}

    def add_all(self, managed: Managed) -> None:
        settings = self._settings
        if settings.model is not None:
            entry = entry_of(settings.model)
            self.add(entry)
            self._add_offered(entry, set())
        elif settings.has_model_list:
            written = {entry.model_name for entry in settings.model_entries}
            for entry in settings.model_entries:
                for concrete in self.spread(entry):
                    self.add(concrete)
                    if concrete.info.listed:
                        self._add_offered(concrete, written)
        else:
            for provider in self._usable_providers():
                for entry in self._of_environment(provider):
                    self.add(entry)
        for entry in managed.entries:
            for concrete in self.spread(entry):
                self.add(concrete)
        self._say_whose_tokens()
        self._add_demo()

    def models(self, groups: Mapping[str, tuple[str, ...]]) -> Iterator[Model]:
        for name, group in self._groups.items():
            infos = [placed.entry.info for placed in group]
            deployments = _weighted(group)
            known = [
                self.book.known_model(deployment.provider, deployment.upstream_model) for deployment in deployments
            ]
            yield Model(
                name=name,
                deployments=deployments,
                display_name=next((info.display_name for info in infos if info.display_name), name),
                description=next((info.description for info in infos if info.description), ""),
                access_groups=tuple(
                    dict.fromkeys((*(group for info in infos for group in info.access_groups), *groups.get(name, ())))
                ),
                max_input_tokens=_first(info.max_input_tokens for info in infos)
                or _first(model.max_input_tokens for model in known if model is not None),
                max_output_tokens=_first(info.max_output_tokens for info in infos),
                listed="*" not in name and any(info.listed for info in infos),
                other_names=other_names(name, deployments),
                generates_text=generates_text(infos, known),
                claude_code_name=self._claude_code_name(name, group),
            )

    def _claude_code_name(self, name: str, group: list[_Placed]) -> str | None:
        """As written, where one model can have it."""
        placed = next((placed for placed in group if placed.entry.info.claude_code_name is not None), None)
        if placed is None:
            return None
        written = placed.entry.info.claude_code_name
        assert written is not None
        if "*" in name:
            why = "it is the name of one model, not of a wildcard"
        elif written in self._groups:
            why = "there is a model of that name"
        elif (other := self._picker_names.setdefault(written, name)) != name:
            why = f'it is that of model "{other}" too'
        else:
            return written
        self.notices.append(
            f'{placed.entry.place}: claude_code_name "{written}" of model "{name}" is not used: {why}; choose another'
        )
        return None

    def _usable_providers(self) -> list[str]:
        """Those with a credential in the environment; a local host's is its address. Says why one is not."""
        usable = []
        for name, credential in self._settings.credentials.items():
            host = HOSTS[name]
            options_are_there = host.needed_options and all(
                option in credential.options for option in host.needed_options
            )
            if credential.api_key is None and (host.needs_key or not (credential.api_base or options_are_there)):
                continue
            if credential.api_base is None and host.default_base is None:
                self.notices.append(no_address(host))
            elif _OWNER in host.options and (refusal := self._personal_refusal(host, credential.options)):
                self.notices.append(f"{host.key_variables[0]} is not used: {refusal}")
            else:
                usable.append(name)
        return usable

    def _personal_refusal(self, host: Host, options: Mapping[str, Secret]) -> str | None:
        """Why a personal credential may not be used here."""
        if not self._settings.claude_code_native_enabled:
            return (
                f'provider "{host.name}" is switched off: by its provider\'s terms such a token is for the one person '
                "who signed in; where that is understood, set claude_code_native.enabled: true "
                "(KEYHOUSE_CLAUDE_CODE_NATIVE_ENABLED=true), and restart"
            )
        if _OWNER not in options and self._settings.claude_code_owner is None:
            return (
                f'a token of provider "{host.name}" is one person\'s, and nobody says whose: set '
                "litellm_params.owner_user_id, or claude_code_native.owner_user_id (KEYHOUSE_CLAUDE_CODE_OWNER), to "
                "the user_id whose keys it may serve, and restart"
            )
        return None

    def _say_whose_tokens(self) -> None:
        owners = {
            f'"{placed.deployment.owner_user_id}"': None
            for group in self._groups.values()
            for placed in group
            if placed.deployment.owner_user_id is not None
        }
        if owners:
            self.notices.append(
                "claude_code_native is switched on: by its provider's terms a personal token is for the one person it "
                f"was issued to, so each serves only the keys whose user_id is its owner's: {', '.join(owners)}"
            )

    def spread(self, entry: ModelEntry) -> Iterator[ModelEntry]:
        """An entry for any provider as one for each that has a credential: by prefix, and by bare name."""
        if entry.provider != ANY_PROVIDER:
            personal = entry.model_name == "*" and _OWNER in HOSTS[entry.provider].options
            # No name that somebody asks for goes to a personal token unasked: it takes the provider's prefix.
            yield replace(entry, model_name=f"{entry.provider}/*", upstream_model="*") if personal else entry
            return
        providers = self._usable_providers()
        if not providers:
            self._leave_out(
                entry, "no provider has a credential in the environment; set one, such as ANTHROPIC_API_KEY"
            )
        for provider in providers:
            for pattern in name_patterns(HOSTS[provider]):
                upstream_model = pattern.removeprefix(f"{provider}/")
                yield replace(entry, model_name=pattern, provider=provider, upstream_model=upstream_model)

    def _of_environment(self, provider: str) -> Iterator[ModelEntry]:
        host = HOSTS[provider]
        for offered in self.book.offered(provider):
            info = ModelInfo(display_name=offered.display_name, max_input_tokens=offered.max_input_tokens, probed=False)
            own = any(fnmatchcase(offered.name, family) for family in host.families)
            name = offered.name if own else f"{provider}/{offered.name}"
            yield ModelEntry(name, provider, offered.name, "the environment", info=info)
        for pattern in name_patterns(host):
            upstream_model = pattern.removeprefix(f"{provider}/")
            yield ModelEntry(pattern, provider, upstream_model, "the environment", info=ModelInfo(listed=False))

    def _add_offered(self, entry: ModelEntry, written: set[str]) -> None:
        """What a wildcard stands for, as far as the bundled data knows: so that clients can see and pick it."""
        if entry.model_name.count("*") != 1 or entry.upstream_model.count("*") != 1:
            return
        pattern = wildcard_pattern(entry.upstream_model)
        for offered in self.book.offered(entry.provider):
            match = pattern.fullmatch(offered.name)
            if match is None or (name := entry.model_name.replace("*", match[1])) in written:
                continue
            info = replace(
                entry.info,
                deployment_id=None,
                claude_code_name=None,
                probed=False,
                display_name=offered.display_name,
                max_input_tokens=entry.info.max_input_tokens or offered.max_input_tokens,
            )
            self.add(replace(entry, model_name=name, upstream_model=offered.name, info=info))

    def _add_demo(self) -> None:
        listed = self._settings.demo_models
        if listed is None:
            listed = not any(placed.entry.info.listed for group in self._groups.values() for placed in group)
        for name, (display_name, description) in DEMO_MODELS.items():
            if name not in self._groups:
                info = ModelInfo(display_name=display_name, description=description, listed=listed)
                self.add(ModelEntry(name, "demo", name, "the product", info=info))

    def add(self, entry: ModelEntry) -> None:
        deployment = self._deployment(entry)
        if deployment is not None:
            self._groups.setdefault(entry.model_name, []).append(_Placed(entry, deployment))

    def _deployment(self, entry: ModelEntry) -> Deployment | None:
        host = HOSTS[entry.provider]
        credential = self._settings.credentials.get(entry.provider, Credential())
        if entry.managed and entry.api_base is not None:
            credential = Credential()  # the operator's own goes nowhere that an admin has chosen
        api_key = entry.api_key or credential.api_key
        defaults = {name: Secret(value) for name, value in host.option_defaults.items()}
        options = {**defaults, **credential.options, **entry.options}
        owner = options.pop(_OWNER, None)
        api_base = entry.api_base or credential.api_base or default_base(host, options)
        why = None
        if _OWNER in host.options:
            why = self._personal_refusal(host, {**credential.options, **entry.options})
        own_secrets = entry.options.keys() & host.secret_options
        if entry.managed and entry.api_base is not None and not (api_key or own_secrets):
            why = why or no_key_of_its_own(host)
        why = why or what_is_missing(host, api_key, options, api_base)
        if why is not None:
            self._leave_out(entry, why)
            return None
        assert api_base is not None
        upstream_model, preferred_protocol = entry.upstream_model, None
        if "openai_responses" in host.protocols and upstream_model.startswith(_RESPONSES):
            upstream_model, preferred_protocol = upstream_model.removeprefix(_RESPONSES), "openai_responses"
        deployment_id = self._deployment_id(entry, api_base)
        return Deployment(
            deployment_id=deployment_id,
            provider=entry.provider,
            upstream_model=upstream_model,
            api_base=api_base,
            api_key=api_key,
            prices=self.book.schedule(entry.provider, upstream_model, entry.prices, entry.info.base_model),
            preferred_protocol=preferred_protocol,
            headers={**credential.headers, **entry.headers},
            options=options,
            timeouts=self._timeouts(entry),
            owner_user_id=self._owner(host, owner),
            native_tools=entry.info.native_tools,
            # Credentials may name the address at which to exchange them.
            guarded=entry.managed and (entry.api_base is not None or bool(own_secrets)),
            base_model=entry.info.base_model,
            requests_per_minute=entry.requests_per_minute,
            tokens_per_minute=entry.tokens_per_minute,
            order=entry.order,
            retries=entry.retries,
            cooldown_s=entry.cooldown_s,
            relays_logins=relays_logins(entry, api_base),
            tags=frozenset(entry.tags),
            most_running=entry.most_running,
            region=entry.region,
            budgets=budgets_of(entry, deployment_id, self._settings.provider_budgets),
            max_input_tokens=self._max_input_tokens(entry, upstream_model),
            probed=self._is_probed(entry, upstream_model),
            probe_model=entry.info.probe_model,
        )

    def _is_probed(self, entry: ModelEntry, upstream_model: str) -> bool:
        """Not a personal credential, and what makes neither text nor embeddings is too dear to be called for this."""
        known = self.book.known_model(entry.provider, entry.info.base_model or upstream_model)
        cheap = entry.info.mode in _PROBED_MODES if entry.info.mode else known is None or known.generates_text
        return entry.info.probed and cheap and _OWNER not in HOSTS[entry.provider].options and entry.provider != "demo"

    def _max_input_tokens(self, entry: ModelEntry, upstream_model: str) -> int | None:
        """As written, else as the bundled data knows the model or the one that it is based on."""
        if entry.info.max_input_tokens is not None:
            return entry.info.max_input_tokens
        known = self.book.known_model(entry.provider, entry.info.base_model or upstream_model)
        return None if known is None else known.max_input_tokens

    def _owner(self, host: Host, written: Secret | None) -> str | None:
        if _OWNER not in host.options:
            return None
        return written.reveal() if written is not None else self._settings.claude_code_owner

    def _deployment_id(self, entry: ModelEntry, api_base: str) -> DeploymentId:
        """The operator's own, or a digest that stays the same over restarts and when a key is rotated."""
        given = entry.info.deployment_id
        if given is None:
            parts = (entry.model_name, entry.provider, entry.upstream_model, api_base)
            identifier = "dep_" + hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
        else:
            identifier = given
        count = self._ids[identifier] = self._ids.get(identifier, 0) + 1
        if count == 1:
            return DeploymentId(identifier)
        if given is not None:
            self.notices.append(
                f'{entry.place}: model_info.id "{given}" of model "{entry.model_name}" is taken by an entry above; '
                f'this one is called "{given}-{count}"'
            )
        return DeploymentId(f"{identifier}-{count}")

    def _timeouts(self, entry: ModelEntry) -> Timeouts:
        settings = self._settings
        total_s = entry.timeout_s or settings.total_timeout_s
        first_byte_s = entry.stream_timeout_s or settings.first_byte_timeout_s
        return Timeouts(
            first_byte_s=min(first_byte_s, total_s), idle_s=min(settings.idle_timeout_s, total_s), total_s=total_s
        )

    def _leave_out(self, entry: ModelEntry, why: str) -> None:
        self.notices.append(f'{entry.place}: model "{entry.model_name}" is left out: {why}')
        self.left_out.append(why)


def _weighted(group: list[_Placed]) -> tuple[Deployment, ...]:
    """By ``weight``, else by ``rpm``, else by ``tpm``, whichever all entries of the group have; else alike."""
    entries = [placed.entry for placed in group]
    shares: list[list[int | None]] = [
        [entry.weight for entry in entries],
        [entry.requests_per_minute for entry in entries],
        [entry.tokens_per_minute for entry in entries],
    ]
    for share in shares:
        weights = [weight for weight in share if weight is not None]
        if len(weights) == len(group) and any(weights):
            return tuple(
                replace(placed.deployment, weight=weight) for placed, weight in zip(group, weights, strict=True)
            )
    return tuple(placed.deployment for placed in group)


def _first(values: Iterator[int | None]) -> int | None:
    return next((value for value in values if value is not None), None)
