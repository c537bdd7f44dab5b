"""Reads a running LiteLLM proxy over its admin API: the same rows as its database has, as far as it tells them."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import click
import msgspec

from app.admin.litellm import rows as tables

_TIMEOUT_S = 60
_PAGE = 100
_NOT_SOLD = frozenset({401, 403, 404, 500})
"""What LiteLLM answers on routes that need a licence."""

Rows = list[dict[str, Any]]


class LiteLLMApi:
    """``left`` says what the proxy would not tell."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self.left: list[str] = []

    def read(self) -> dict[str, Rows]:
        """Raises ClickException when the proxy does not answer, or refuses what every version has."""
        teams = self._get("/team/list")
        users = list(self._pages("/user/list", "users", "page_size"))
        organizations = self._get_if_sold("/organization/list")
        return {
            tables.TEAMS: teams,
            tables.USERS: users,
            tables.KEYS: list(self._pages("/key/list", "keys", "size", return_full_object="true")),
            tables.CUSTOMERS: self._get_if_sold("/customer/list"),
            tables.BUDGETS: self._get_if_sold("/budget/list"),
            tables.ORGANIZATIONS: organizations,
            tables.ORGANIZATION_MEMBERS: [
                member for organization in organizations for member in organization.get("members") or []
            ],
            tables.TEAM_MEMBERS: [
                member
                for team in teams
                for member in self._get(f"/team/info?{urlencode({'team_id': team['team_id']})}")["team_memberships"]
            ],
        }

    def _pages(self, path: str, at: str, size: str, **further: str) -> Iterator[dict[str, Any]]:
        page, pages = 1, 1
        while page <= pages:
            answer = self._get(f"{path}?{urlencode({'page': page, size: _PAGE, **further})}")
            yield from answer[at]
            pages = answer.get("total_pages") or 1
            page += 1

    def _get_if_sold(self, path: str) -> Rows:
        try:
            found = self._get(path)
        except click.ClickException as error:
            cause = error.__cause__
            if isinstance(cause, urllib.error.HTTPError) and cause.code in _NOT_SOLD:
                self.left.append(f"{path} ({cause.code})")
                return []
            raise
        return found if isinstance(found, list) else []

    def _get(self, path: str) -> Any:  # noqa: ANN401  JSON
        headers = {"Authorization": f"Bearer {self._key}"}
        request = urllib.request.Request(f"{self._url}{path}", headers=headers)  # noqa: S310  as it was given
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                return msgspec.json.decode(answer.read())
        except urllib.error.HTTPError as error:
            error.close()
            raise click.ClickException(f"LiteLLM answers {error.code} on {path.partition('?')[0]}") from error
        except (OSError, ValueError) as error:
            raise click.ClickException(f"no LiteLLM answers at {self._url} ({error})") from error
