"""LiteLLM's keys in a take-over: by the hashes that it keeps, so that people keep the keys that they have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.admin.litellm import rows as tables
from app.admin.litellm.draft import Draft, Thing, free_name, limits_of, models_of, without_limits
from app.admin.litellm.rows import Row
from app.base.ids import new_id
from app.domain.keys import digest_imported, digest_key

DASHBOARD_TEAM = "litellm-dashboard"
_SHA256_HEX_LENGTH = 64


@dataclass(frozen=True, slots=True)
class PlannedKey:
    """Who is charged for what was spent with a key of LiteLLM's."""

    key_id: str
    organization_id: str | None
    team_id: str | None
    user_id: str | None
    tags: tuple[str, ...] = ()
    row: Row | None = None
    budget: Mapping[str, Any] | None = None


class KeyPlanner:
    """``keys`` are those that are made now, by LiteLLM's hash; ``known`` the hashes of those that are there already."""

    def __init__(self, draft: Draft, pepper: bytes) -> None:
        self.keys: dict[str, PlannedKey] = {}
        self.known: set[str] = set()
        self._draft = draft
        self._pepper = pepper
        self._teams = {row.need("team_id"): row for row in draft.source[tables.TEAMS]}

    def run(self) -> None:
        for row in self._draft.source[tables.KEYS]:
            self._key(row)
        for row in self._draft.source[tables.GRACE]:
            self._grace(row)

    def _key(self, row: Row) -> None:
        token = row.need("token")
        name = row.text("key_alias") or row.text("key_name") or token[:12]
        if row.text("team_id") == DASHBOARD_TEAM:
            self._draft.plan.left["sessions of LiteLLM's pages"].append(name)
            return
        digest = self._digest(token)
        if digest is None:
            self._draft.plan.left["keys whose hash cannot be read"].append(name)
            return
        if digest in self._draft.present.digests:
            self.known.add(token)
            self._draft.plan.there["key"] += 1
            return
        if row.text("expires") not in (None, "infinity") and row.time("expires") is None:
            self._draft.plan.left["keys whose expiry cannot be read"].append(name)
            return
        team_id, user_id = row.text("team_id"), row.text("user_id")
        if team_id is not None and not self._draft.is_there("team", team_id):
            self._draft.plan.left["keys of teams that are gone"].append(name)
            return
        if user_id is not None:
            self._draft.ensure_user(user_id)
        columns, own = self._key_columns(row, digest)
        self._draft.present.digests.add(digest)
        if columns["key_alias"] is not None:
            self._draft.present.key_aliases.add(columns["key_alias"])
        self._draft.plan.things.append(Thing("key", columns["key_id"], name, columns, own))
        self.keys[token] = PlannedKey(
            columns["key_id"], columns["organization_id"], team_id, user_id, tuple(columns["tags"]), row, own
        )
        self._draft.leave("key", name, row)

    def _key_columns(self, row: Row, digest: bytes) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
        alias, metadata = row.text("key_alias"), without_limits(row.map("metadata"))
        own = self._draft.own_budget(row)
        named = row.text("budget_id")
        shared = named if own is None and self._draft.is_there("budget", named) else None
        tags = metadata.pop("tags", None)
        aliases = {name: to for name, to in row.map("aliases").items() if isinstance(to, str)}
        fallbacks = Row(row.map("budget_fallbacks"))
        columns = {
            "key_id": new_id("key"),
            "digest": digest,
            "last_four": (row.text("key_name") or "????")[-4:],
            "key_alias": None if alias is None else free_name(alias, self._draft.present.key_aliases),
            "organization_id": self._organization_of(row),
            "team_id": row.text("team_id"),
            "user_id": row.text("user_id"),
            "budget_id": shared if own is None else own["budget_id"],
            "models": models_of(row),
            "aliases": aliases,
            "budget_fallbacks": {name: fallbacks.texts(name) for name in fallbacks.values},
            "allowed_routes": row.texts("allowed_routes"),
            "blocked": row.flag("blocked"),
            "metadata": metadata,
            "tags": [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
            "expires_at": row.time("expires"),
            "last_active_at": row.time("last_active"),
            "rotation_count": row.count("rotation_count") or 0,
            **limits_of(row),
            **self._draft.times(row),
        }
        return columns, own

    def _organization_of(self, key: Row) -> str | None:
        """A key of a team belongs to the team's organization."""
        organization_id = self._teams.get(key.text("team_id") or "", key).text("organization_id")
        return organization_id if self._draft.is_there("organization", organization_id) else None

    def _grace(self, row: Row) -> None:
        """The earlier secret of a key that was rotated, while it still works."""
        digest, key = self._digest(row.need("token")), self.keys.get(row.text("active_token_id") or "")
        until = row.time("revoke_at")
        if (
            digest is None
            or key is None
            or until is None
            or until <= self._draft.at
            or digest in self._draft.present.digests
        ):
            return
        columns = {"digest": digest, "key_id": key.key_id, "last_four": "????", "works_until": until}
        self._draft.plan.things.append(Thing("earlier secret", key.key_id, key.key_id, columns))

    def _digest(self, token: str) -> bytes | None:
        """LiteLLM keeps the SHA-256 of a key in hex; very old versions the key itself."""
        if token.startswith("sk-"):
            return digest_key(self._pepper, token)
        if len(token) != _SHA256_HEX_LENGTH:
            return None
        try:
            return digest_imported(self._pepper, bytes.fromhex(token))
        except ValueError:
            return None
