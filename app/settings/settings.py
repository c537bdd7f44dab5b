"""What one process of Keyhouse is told to be: a frozen record, and the table of its names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.base.money import NanoUSD
from app.base.secret import Secret
from app.domain.budgets import OnExceed
from app.domain.caching import LONGEST_TTL_S, CacheMode
from app.domain.catalog import ModelEntry
from app.domain.pricing import Terms
from app.domain.roles import DEFAULT_ROLE, USER_ROLES, Role
from app.domain.routing import RoutingRules
from app.providers.hosts import Credential

Kind = Literal["text", "secret", "path", "integer", "boolean", "texts"]
MEBIBYTE = 1024 * 1024
DEFAULT_HOME = Path("~/.keyhouse")
_LARGEST_PORT = 65_535
_MOST_WORKERS = 64


@dataclass(frozen=True, slots=True)
class Settings:
    """``notices`` are sentences to be said once at start. Times are in whole seconds.

    ``credential_secret`` seals what is secret of providers in place of ``secret``; what the former one sealed is read.
    ``model`` is the one ``provider/model`` to serve; ``demo_models`` None lists them where there is no other model;
    ``max_budget_nanousd`` is of all calls together, in each window of ``budget_duration``; ``max_customer_budget_…`` of
    each customer without a budget of its own: an amount, or the id of a shared budget.
    ``model_aliases`` are further names of models, LiteLLM's ``model_group_alias``.
    ``provider_budgets`` are what all calls to a provider may cost, in nano-dollars, in each window of a period.
    ``price_terms`` are discounts and margins by provider, ``*`` is any; ``allowed_upstreams`` are hosts and networks in
    CIDR form;
    ``claude_code_native_enabled``: entries of that provider are served, each to the keys of one user: its own, or
    ``claude_code_owner``; ``claude_code_sign_in``: people sign in by Claude Code's /login. ``open_mode``: on this
    machine, models are called without a key. ``trusted_proxies`` are addresses and networks whose ``x-forwarded-for``
    is believed, or ``*`` for all. ``public_url`` is how people reach the pages, for links that are sent to them; what
    begins with ``oidc_`` is read by ``app.settings.single_sign_on``. ``alerting`` are the channels that alerts take,
    ``alert_types`` what of them, by LiteLLM's names or ours; none is all.
    """

    host: str = "127.0.0.1"
    port: int = 4000
    workers: int = 1
    home: Path = DEFAULT_HOME
    database_url: Secret | None = None
    redis_url: Secret | None = None
    master_key: Secret | None = None
    secret: Secret | None = None
    credential_secret: Secret | None = None
    former_credential_secret: Secret | None = None
    config_path: Path | None = None
    model: str | None = None
    has_model_list: bool = False
    model_entries: tuple[ModelEntry, ...] = ()
    routing: RoutingRules = field(default_factory=RoutingRules)
    model_aliases: Mapping[str, str] = field(default_factory=dict)
    provider_budgets: Mapping[str, tuple[int, str | None]] = field(default_factory=dict)
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    demo_models: bool | None = None
    claude_code_native_enabled: bool = False
    claude_code_owner: str | None = None
    claude_code_sign_in: bool = False
    open_mode: bool = False
    model_list_format: Literal["auto", "anthropic"] = "auto"
    unpriced_models: Literal["charge", "refuse"] = "charge"
    max_budget_nanousd: NanoUSD | None = None
    budget_duration: str | None = None
    max_customer_budget_nanousd: NanoUSD | None = None
    max_customer_budget_id: str | None = None
    price_terms: Mapping[str, Terms] = field(default_factory=dict)
    budget_exceeded_status: int | None = None
    max_body_bytes: int = 64 * MEBIBYTE
    body_timeout_s: int = 60
    ping_after_s: int = 15
    lease_s: int = 60
    admission_wait_s: int = 30
    on_exceed: OnExceed = "finish"
    cached_token_percent: int = 10
    alert_check_s: int = 30
    alerts_retention_days: int = 400
    alerting: tuple[str, ...] = ()
    alert_types: tuple[str, ...] = ()
    alert_emails: tuple[str, ...] = ()
    slack_webhook_url: Secret | None = None
    alert_webhook_url: Secret | None = None
    alert_webhook_secret: Secret | None = None
    smtp_host: str | None = None
    smtp_port: int = 587
    smtp_username: str | None = None
    smtp_password: Secret | None = None
    smtp_sender: str | None = None
    smtp_tls: bool = True
    background_health_checks: bool = False
    health_check_interval_s: int = 300
    health_check_details: bool = True
    health_check_routing: bool = False
    shutdown_grace_s: int = 30
    first_byte_timeout_s: int = 600
    idle_timeout_s: int = 300
    total_timeout_s: int = 3600
    allowed_upstreams: tuple[str, ...] = ()
    public_url: str | None = None
    password_sign_in: bool = True
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: Secret | None = None
    oidc_name: str = "single sign-on"
    oidc_scopes: tuple[str, ...] = ("openid", "profile", "email")
    oidc_email_domains: tuple[str, ...] = ()
    oidc_trust_email: bool = False
    oidc_auto_create: bool = False
    oidc_default_role: Role = DEFAULT_ROLE
    oidc_groups_claim: str = "groups"
    oidc_allowed_groups: tuple[str, ...] = ()
    oidc_roles: tuple[str, ...] = ()
    oidc_teams: tuple[str, ...] = ()
    oidc_organizations: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    receipts_retention: str | None = None
    retention_export: Literal["required", "off"] = "required"
    max_running_requests: int = 2000
    max_running_per_tenant: int = 500
    max_waiting_requests: int = 1000
    place_wait_s: int = 10
    response_cache: CacheMode = "off"
    response_cache_ttl_s: int = 600
    response_cache_answer_bytes: int = MEBIBYTE
    response_cache_total_bytes: int = 256 * MEBIBYTE
    response_cache_call_types: tuple[str, ...] = ()
    idempotency_ttl_s: int = 86_400
    idempotency_answer_bytes: int = 8 * MEBIBYTE
    idempotency_total_bytes: int = 256 * MEBIBYTE
    otlp_endpoint: str | None = None
    otlp_headers: Secret | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Name:
    """One setting that can be written: ``name`` in the file, ``KEYHOUSE_NAME`` in the environment.

    ``variables`` are further names in the environment, the first that is set counts. ``choices`` are of a text,
    ``least`` and ``most`` of a whole number. ``in_file`` is false for what must be known before the file is read,
    and for what has a place of its own there.
    """

    name: str
    kind: Kind
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None
    variables: tuple[str, ...] = ()
    in_file: bool = True

    @property
    def all_variables(self) -> tuple[str, ...]:
        return (f"KEYHOUSE_{self.name.upper()}", *self.variables)


NAMES: dict[str, Name] = {
    name.name: name
    for name in (
        Name("config_path", "path", variables=("KEYHOUSE_CONFIG",), in_file=False),
        Name("host", "text"),
        Name("port", "integer", most=_LARGEST_PORT),
        Name("workers", "integer", least=1, most=_MOST_WORKERS),
        Name("home", "path"),
        Name("database_url", "secret", variables=("DATABASE_URL",)),
        Name("redis_url", "secret", variables=("REDIS_URL",)),
        Name("master_key", "secret", variables=("LITELLM_MASTER_KEY",)),
        Name("secret", "secret"),
        Name("credential_secret", "secret"),
        Name("former_credential_secret", "secret"),
        Name("model", "text", in_file=False),
        Name("demo_models", "boolean"),
        Name("claude_code_native_enabled", "boolean", in_file=False),
        Name("claude_code_owner", "text", in_file=False),
        Name("claude_code_sign_in", "boolean"),
        Name("open_mode", "boolean"),
        Name("model_list_format", "text", choices=("auto", "anthropic")),
        Name("unpriced_models", "text", choices=("charge", "refuse")),
        Name("budget_exceeded_status", "integer", least=400, most=499),
        Name("max_body_bytes", "integer", least=1024),
        Name("body_timeout_s", "integer", least=1),
        Name("ping_after_s", "integer", least=1),
        Name("lease_s", "integer", least=5, most=120),
        Name("admission_wait_s", "integer"),
        Name("on_exceed", "text", choices=("finish", "cut")),
        Name("cached_token_percent", "integer", most=100),
        Name("alert_check_s", "integer", least=1, most=3600),
        Name("alerts_retention_days", "integer", most=3650),
        Name("alerting", "texts"),
        Name("alert_types", "texts"),
        Name("alert_emails", "texts"),
        Name("slack_webhook_url", "secret", variables=("SLACK_WEBHOOK_URL",)),
        Name("alert_webhook_url", "secret", variables=("WEBHOOK_URL",)),
        Name("alert_webhook_secret", "secret"),
        Name("smtp_host", "text", variables=("SMTP_HOST",)),
        Name("smtp_port", "integer", least=1, most=_LARGEST_PORT, variables=("SMTP_PORT",)),
        Name("smtp_username", "text", variables=("SMTP_USERNAME",)),
        Name("smtp_password", "secret", variables=("SMTP_PASSWORD",)),
        Name("smtp_sender", "text", variables=("SMTP_SENDER_EMAIL",)),
        Name("smtp_tls", "boolean", variables=("SMTP_TLS",)),
        Name("background_health_checks", "boolean"),
        Name("health_check_interval_s", "integer", least=10),
        Name("health_check_details", "boolean"),
        Name("health_check_routing", "boolean"),
        Name("shutdown_grace_s", "integer"),
        Name("first_byte_timeout_s", "integer", least=1),
        Name("idle_timeout_s", "integer", least=1),
        Name("total_timeout_s", "integer", least=1),
        Name("allowed_upstreams", "texts"),
        Name("public_url", "text"),
        Name("password_sign_in", "boolean"),
        Name("oidc_issuer", "text"),
        Name("oidc_client_id", "text"),
        Name("oidc_client_secret", "secret"),
        Name("oidc_name", "text"),
        Name("oidc_scopes", "texts"),
        Name("oidc_email_domains", "texts"),
        Name("oidc_trust_email", "boolean"),
        Name("oidc_auto_create", "boolean"),
        Name("oidc_default_role", "text", choices=USER_ROLES[1:]),
        Name("oidc_groups_claim", "text"),
        Name("oidc_allowed_groups", "texts"),
        Name("oidc_roles", "texts"),
        Name("oidc_teams", "texts"),
        Name("oidc_organizations", "texts"),
        Name("trusted_proxies", "texts"),
        Name("receipts_retention", "text"),
        Name("retention_export", "text", choices=("required", "off")),
        Name("max_running_requests", "integer", least=1),
        Name("max_running_per_tenant", "integer", least=1),
        Name("max_waiting_requests", "integer"),
        Name("place_wait_s", "integer"),
        Name("response_cache", "text", choices=("off", "opt_in", "on")),
        Name("response_cache_ttl_s", "integer", least=1, most=LONGEST_TTL_S),
        Name("response_cache_answer_bytes", "integer", least=1024, most=64 * MEBIBYTE),
        Name("response_cache_total_bytes", "integer", least=MEBIBYTE),
        Name("response_cache_call_types", "texts"),
        Name("idempotency_ttl_s", "integer", most=7 * 86_400),
        Name("idempotency_answer_bytes", "integer", least=1024, most=64 * MEBIBYTE),
        Name("idempotency_total_bytes", "integer", least=MEBIBYTE),
        Name("otlp_endpoint", "text"),
        Name("otlp_headers", "secret"),
        Name("log_level", "text", choices=("debug", "info", "warning", "error")),
        Name("log_format", "text", choices=("json", "text")),
    )
}
