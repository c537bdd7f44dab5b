"""The rows of the demo company, and the audit of how they came to be, each in its time."""

import hmac
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table

from app.admin.demo_data.company import (
    COST_CENTERS_OF_PROJECTS,
    CUSTOMERS,
    ORGANIZATIONS,
    OWNER,
    PERSONAS,
    TAGS,
    TEAMS,
    DemoKey,
    Human,
)
from app.admin.demo_data.plan import MODELS
from app.domain.keys import digest_key, mint_key
from app.providers.price_book import PriceBook
from app.storage.postgres import tables
from app.storage.postgres.audit import AuditEntry
from app.storage.postgres.cost_centers import BEGINNING, Charged
from app.storage.postgres.credentials import CredentialCipher, sealed_values

_HIDDEN = frozenset({"digest", "ciphertext", "nonce", "encryption_key_id", "password_hash"})
_CREDENTIALS = {"anthropic": "anthropic-production", "openai": "openai-production"}
_BUDGET_OF_TEAMS = "30d"


@dataclass
class Rows:
    """In the order in which they are inserted. ``audit`` is sorted when it is written."""

    inserted: list[tuple[Table, dict[str, Any]]] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)

    def add(self, table: Table, values: Mapping[str, Any], at: datetime, noted: tuple[str, str, str] | None) -> None:
        """``noted`` is the action, the type and the id of the audit; None for what belongs to another row."""
        common = {"created_at": at, "updated_at": at, "created_by": OWNER.user_id, "updated_by": OWNER.user_id}
        common |= {"budget_since": at, "member_budget_since": at}
        row = {name: value for name, value in common.items() if name in table.c} | dict(values)
        self.inserted.append((table, row))
        if noted is not None:
            self.note(noted, at, after={name: value for name, value in row.items() if name not in _HIDDEN})

    def note(
        self,
        noted: tuple[str, str, str],
        at: datetime,
        *,
        by: str = OWNER.user_id,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        self.audit.append(AuditEntry(at, by, None, "192.0.2.17", *noted, before, after))


def company_rows(
    people: Sequence[Human], keys: Sequence[DemoKey], founded: datetime, pepper: bytes, password_hash: str
) -> Rows:
    """Everything but models; budgets have no limit yet: what is near one is known when all is spent."""
    rows, minute = Rows(), timedelta(minutes=1)
    at = founded
    values: dict[str, Any]
    for organization_id, alias in ORGANIZATIONS:
        values = {"organization_id": organization_id, "organization_alias": alias}
        rows.add(tables.organizations, values, at, ("organization.new", "organization", organization_id))
        at += 3 * minute
    for team in TEAMS:
        _budget(rows, team.team_id, at)
        values = {
            "team_id": team.team_id, "team_alias": team.alias, "organization_id": team.organization_id,
            "budget_id": f"budget_{team.team_id}",
        }  # fmt: skip
        rows.add(tables.teams, values, at, ("team.new", "team", team.team_id))
        _charge(rows, "team", team.team_id, team.cost_center)
        for project in team.projects:
            project_id = f"project_{project.replace('-', '_')}"
            values = {"project_id": project_id, "project_alias": project, "team_id": team.team_id}
            rows.add(tables.projects, values, at + minute, ("project.new", "project", project_id))
            _charge(rows, "project", project_id, COST_CENTERS_OF_PROJECTS.get(project, ""))
        at += 7 * minute
    for human in people:
        _person(rows, human, at, password_hash)
        at += 4 * minute
    for number, alias in enumerate(CUSTOMERS, 1):
        customer_id = f"customer_{number:02}"
        values = {"customer_id": customer_id, "customer_alias": alias}
        rows.add(tables.customers, values, at, ("customer.new", "customer", customer_id))
    for tag, description in TAGS.items():
        rows.add(tables.tags, {"tag": tag, "description": description}, at, ("tag.new", "tag", tag))
    for key in keys:
        at += 2 * minute
        _key(rows, key, at, pepper)
    return rows


def later_life(rows: Rows, days: Sequence[datetime], until: datetime, dice: random.Random) -> None:
    """What an audit is full of: people who sign in, and now and then a change."""
    for day in days:
        for human in PERSONAS.values():
            at = day + timedelta(hours=dice.randrange(7, 10), seconds=dice.randrange(3_600))
            if day.weekday() < 5 and dice.random() < 0.4 and at < until:
                rows.note(("user.sign_in", "user", human.user_id), at, by=human.user_id)
    blocked = days[-9] + timedelta(hours=11, minutes=20)
    rows.note(("key.block", "key", "key_prototype_agent"), blocked, before={"blocked": False}, after={"blocked": True})


def model_rows(rows: Rows, cipher: CredentialCipher, book: PriceBook, at: datetime) -> None:
    """Each known model is served by the demo provider at its true price, so that it answers without any credential;
    where its own host is named too, that deployment waits, blocked, for a secret that is none yet."""
    for provider, name in _CREDENTIALS.items():
        credential_id = f"cred_{provider}"
        sealed = sealed_values(cipher.seal(credential_id, {"api_key": "sk-not-a-secret-replace-me"}))
        values = {"credential_id": credential_id, "name": name, **sealed}
        rows.add(tables.provider_credentials, values, at, ("credential.new", "credential", name))
    for model, provider in MODELS.items():
        deployment_id = f"dep_{provider}_{model.replace('-', '_').replace('.', '_')}"
        rates = book.price_of(provider, model).rates
        priced = {
            "input_cost_per_token": rates.input, "output_cost_per_token": rates.output,
            "cache_read_input_token_cost": rates.cache_read,
        }  # fmt: skip
        params = {name: _dollars_a_token(rate) for name, rate in priced.items()}
        known = book.known_model(provider, model)
        info = {} if known is None or known.max_input_tokens is None else {"max_input_tokens": known.max_input_tokens}
        values = {"deployment_id": deployment_id, "model_name": model, "model_info": info}
        demo = values | {"litellm_params": {"model": "demo/lorem", **params}}
        rows.add(tables.deployments, demo, at, ("model.new", "model", deployment_id))
        if provider in _CREDENTIALS and not model.startswith("text-"):
            own: dict[str, Any] = {
                "deployment_id": f"{deployment_id}_direct", "model_name": model, "model_info": info, "blocked": True,
                "litellm_params": {"model": f"{provider}/{model}"}, "credential_id": f"cred_{provider}",
            }  # fmt: skip
            rows.add(tables.deployments, own, at, ("model.new", "model", f"{deployment_id}_direct"))


def demo_password(pepper: bytes) -> str:
    """Of all demo people: the same at each start, and known only to who has the gateway's secret."""
    digits = hmac.digest(pepper, b"demo data: password", "sha256").hex()
    return f"demo-{digits[:5]}-{digits[5:10]}-{digits[10:15]}"


def _person(rows: Rows, human: Human, at: datetime, password_hash: str) -> None:
    team = next((team for team in TEAMS if team.name == human.team), None)
    organization_id = "org_halden" if team is None else team.organization_id
    values = {
        "user_id": human.user_id, "user_alias": human.name, "user_email": human.email, "user_role": human.role,
        "organization_id": organization_id,
    }  # fmt: skip
    rows.add(tables.users, values, at, ("user.new", "user", human.user_id))
    password = {"user_id": human.user_id, "password_hash": password_hash, "changed_at": at}
    rows.add(tables.passwords, password, at, None)
    if human.role == "org_admin":
        belongs = {"organization_id": organization_id, "user_id": human.user_id, "role": "org_admin"}
        rows.add(
            tables.organization_memberships, belongs, at, ("organization.member_add", "organization", organization_id)
        )
    if team is not None:
        belongs = {"team_id": team.team_id, "user_id": human.user_id, "role": "admin" if human.leads else "user"}
        rows.add(tables.memberships, belongs, at, ("team.member_add", "team", team.team_id))


def _key(rows: Rows, key: DemoKey, at: datetime, pepper: bytes) -> None:
    secret = mint_key()  # of no use to anybody: nobody is told
    team = next((team for team in TEAMS if team.name == key.team), None)
    budget_id = None
    if key.state is not None:
        budget_id = _budget(rows, key.key_id, at)
    ends = None if key.ends_in_days is None else at + timedelta(days=63 + key.ends_in_days)
    values = {
        "key_id": key.key_id, "digest": digest_key(pepper, secret), "last_four": secret[-4:], "key_alias": key.alias,
        "organization_id": None if team is None else team.organization_id,
        "team_id": None if team is None else team.team_id,
        "user_id": key.user_id, "budget_id": budget_id, "models": list(key.models), "tags": list(key.tags),
        "project_id": None if key.project is None else f"project_{key.project.replace('-', '_')}",
        "metadata": {"note": key.note} if key.note else {},
        "blocked": key.blocked, "expires_at": ends,
    }  # fmt: skip
    rows.add(tables.keys, values, at, ("key.generate", "key", key.key_id))


def _charge(rows: Rows, kind: Charged, owner_id: str, cost_center: str) -> None:
    """As part of what made the owner, which the audit tells last."""
    if not cost_center:
        return
    made = rows.audit[-1]
    rows.audit[-1] = replace(made, after={**(made.after or {}), "cost_center": cost_center})
    values = {"owner_kind": kind, "owner_id": owner_id, "since": BEGINNING, "cost_center": cost_center}
    rows.add(tables.cost_centers, values, BEGINNING, None)


def _budget(rows: Rows, owner_id: str, at: datetime) -> str:
    budget_id = f"budget_{owner_id}"
    values = {"budget_id": budget_id, "duration": _BUDGET_OF_TEAMS, "anchor": at, "counting_since": at}
    rows.add(tables.budgets, values, at, None)
    return budget_id


def _dollars_a_token(nanousd_per_million: int) -> str:
    whole, rest = divmod(nanousd_per_million, 10**15)
    return f"{whole}.{rest:015}"
