"""Organizations, users, teams, their members, customers and shared budgets in a take-over from LiteLLM."""

from collections import defaultdict

from app.admin.litellm import rows as tables
from app.admin.litellm.draft import Draft, Thing, free_name, limits_of, models_of, without_limits
from app.admin.litellm.keys import DASHBOARD_TEAM
from app.admin.litellm.rows import Row

MASTER_USER = "default_user_id"
_ROLES = frozenset({"proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer", "org_admin"})


class OwnerPlanner:
    """In the order in which things refer to one another."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._member_rows: dict[str, dict[str, Row]] = defaultdict(dict)
        for row in draft.source[tables.TEAM_MEMBERS]:
            self._member_rows[row.need("team_id")][row.need("user_id")] = row

    def run(self) -> None:
        self._shared_budgets()
        for row in self._draft.source[tables.ORGANIZATIONS]:
            self._organization(row)
        for row in self._draft.source[tables.USERS]:
            self._user(row)
        for row in self._draft.source[tables.TEAMS]:
            self._team(row)
        self._organization_members()
        for row in self._draft.source[tables.CUSTOMERS]:
            self._customer(row)
        for row in self._draft.source[tables.TAGS]:
            self._tag(row)

    def _shared_budgets(self) -> None:
        for budget_id, row in self._draft.budgets.items():
            if self._draft.uses[budget_id] == 1:
                continue
            columns = {"budget_id": budget_id, "shared": True, **self._draft.terms(row), **limits_of(row)}
            self._draft.add("budget", budget_id, budget_id, columns)

    def _organization(self, row: Row) -> None:
        organization_id = row.need("organization_id")
        alias = free_name(row.text("organization_alias") or organization_id, self._draft.present.organization_aliases)
        budget_id, own, limits = self._draft.budget_named(row)
        columns = {
            "organization_id": organization_id,
            "organization_alias": alias,
            "models": models_of(row),
            "metadata": row.map("metadata"),
            "budget_id": budget_id,
            **limits,
            **self._draft.times(row),
        }
        if self._draft.add("organization", organization_id, alias, columns, own):
            self._draft.present.organization_aliases.add(alias)
            self._draft.leave("organization", alias, row)

    def _user(self, row: Row) -> None:
        user_id = row.need("user_id")
        role, email = row.text("user_role"), row.text("user_email")
        if user_id == MASTER_USER:
            # Keys that LiteLLM's master key made bear this user: they must not become keys of an admin.
            role = None
        elif role is not None and role not in _ROLES:
            self._draft.plan.left[f'role "{role}" of users'].append(user_id)
            role = None
        if email is not None and email.lower() in self._draft.present.addresses:
            if not self._draft.is_there("user", user_id):
                self._draft.plan.left["user_email that another user has"].append(f"{user_id} ({email})")
            email = None
        own = self._draft.own_budget(row)
        organization_id = row.text("organization_id")
        columns = {
            "user_id": user_id,
            "user_alias": row.text("user_alias"),
            "user_email": email,
            "user_role": role,
            "organization_id": organization_id if self._draft.is_there("organization", organization_id) else None,
            "models": models_of(row),
            "metadata": row.map("metadata"),
            "budget_id": None if own is None else own["budget_id"],
            **limits_of(row),
            **self._draft.times(row),
        }
        if self._draft.add("user", user_id, email or user_id, columns, own):
            if email is not None:
                self._draft.present.addresses.add(email.lower())
            self._draft.leave("user", email or user_id, row)

    def _team(self, row: Row) -> None:
        team_id = row.need("team_id")
        if team_id == DASHBOARD_TEAM:
            return
        organization_id = row.text("organization_id")
        if not self._draft.is_there("organization", organization_id):
            organization_id = None
        taken = {alias for owner, alias in self._draft.present.team_aliases if owner == organization_id}
        alias = row.text("team_alias")
        alias = None if alias is None else free_name(alias, taken)
        own = self._draft.own_budget(row)
        metadata = row.map("metadata")
        default_id = metadata.pop("team_member_budget_id", None)
        columns = {
            "team_id": team_id,
            "team_alias": alias,
            "organization_id": organization_id,
            "models": models_of(row),
            "blocked": row.flag("blocked"),
            "metadata": without_limits(metadata),
            "budget_id": None if own is None else own["budget_id"],
            "member_budget_id": default_id if self._draft.is_there("budget", default_id) else None,
            **limits_of(row),
            **self._draft.times(row),
        }
        if self._draft.add("team", team_id, alias or team_id, columns, own):
            if alias is not None:
                self._draft.present.team_aliases.add((organization_id, alias))
            self._draft.leave("team", alias or team_id, row)
        self._members(team_id, row)

    def _members(self, team_id: str, team: Row) -> None:
        """Who a team lists, and who has a row of its own there: with it comes what each may spend."""
        terms = self._member_rows[team_id]
        roles = dict.fromkeys(terms, "user")
        for member in team.entries("members_with_roles"):
            user_id = member.get("user_id")
            if isinstance(user_id, str) and user_id:
                roles[user_id] = "admin" if member.get("role") == "admin" else "user"
            else:
                self._draft.plan.left["members without an id"].append(f"{member.get('user_email')} of {team_id}")
        for user_id, role in roles.items():
            budget_id, own, limits = self._draft.budget_named(terms[user_id]) if user_id in terms else (None, None, {})
            if (team_id, user_id) in self._draft.present.memberships:
                self._draft.plan.there["membership"] += 1
                continue
            self._draft.ensure_user(user_id)
            columns = {"team_id": team_id, "user_id": user_id, "role": role, "budget_id": budget_id, **limits}
            name = f"{user_id} in {team_id}"
            self._draft.plan.things.append(Thing("membership", f"{team_id}/{user_id}", name, columns, own))

    def _organization_members(self) -> None:
        for row in self._draft.source[tables.ORGANIZATION_MEMBERS]:
            organization_id, user_id = row.need("organization_id"), row.need("user_id")
            if (organization_id, user_id) in self._draft.present.organization_memberships:
                self._draft.plan.there["organization membership"] += 1
                continue
            if not self._draft.is_there("organization", organization_id):
                continue
            self._draft.ensure_user(user_id)
            role = row.text("user_role")
            role = role if role in ("internal_user", "internal_user_viewer", "org_admin") else "internal_user"
            columns = {"organization_id": organization_id, "user_id": user_id, "role": role}
            name = f"{user_id} in {organization_id}"
            self._draft.plan.things.append(
                Thing("organization membership", f"{organization_id}/{user_id}", name, columns)
            )
            if row.has("budget_id"):
                self._draft.plan.left["budget_id of organization members"].append(name)

    def _customer(self, row: Row) -> None:
        customer_id = row.need("user_id")
        budget_id = row.text("budget_id")
        columns = {
            "customer_id": customer_id,
            "customer_alias": row.text("alias"),
            "blocked": row.flag("blocked"),
            "default_model": row.text("default_model"),
            "allowed_model_region": row.text("allowed_model_region"),
            "budget_id": budget_id if self._draft.is_there("budget", budget_id) else None,
        }
        if self._draft.add("customer", customer_id, customer_id, columns):
            self._draft.leave("customer", customer_id, row)

    def _tag(self, row: Row) -> None:
        tag, budget_id = row.need("tag_name"), row.text("budget_id")
        columns = {
            "tag": tag,
            "description": row.text("description"),
            "budget_id": budget_id if self._draft.is_there("budget", budget_id) else None,
            **self._draft.times(row),
        }
        if self._draft.add("tag", tag, tag, columns):
            self._draft.leave("tag", tag, row)
