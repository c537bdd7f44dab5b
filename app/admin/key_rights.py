"""What somebody who does not reach everything may do with keys.

That is: stay in the own tenant, and never get a secret that acts as another person.
"""

from dataclasses import replace

from msgspec import UNSET

from app.admin.actor import Actor
from app.admin.key_terms import KeyTerms
from app.base.errors import Forbidden, NotFound
from app.storage.postgres.keys import StoredKey


def terms_of_new(terms: KeyTerms, actor: Actor) -> KeyTerms:
    """The terms of a key to be made; one that belongs to no team of the tenant's is the actor's own.

    Raises NotFound for another person, and for a team that is not the actor's.
    """
    if actor.tenant.everything:
        return terms
    if isinstance(terms.user_id, str) and terms.user_id != actor.standing.user_id:
        raise _no_user(terms.user_id)
    own = actor.tenant.user_id is not None
    _check_team(terms, actor, own=own)
    if terms.team_id in actor.tenant.team_ids:
        return terms
    if not own:
        raise Forbidden('you make keys of teams only; give "team_id"', param="team_id")
    return replace(terms, user_id=actor.tenant.user_id)


def check_change(before: StoredKey, terms: KeyTerms, actor: Actor) -> None:
    """Raises NotFound as ``terms_of_new``; Forbidden for unblocking one's own key, and for taking a key out of where
    it belongs."""
    if actor.tenant.everything:
        return
    own = before.user_id is not None and before.user_id == actor.tenant.user_id
    administered = before.team_id in actor.tenant.team_ids
    if isinstance(terms.user_id, str) and terms.user_id not in (before.user_id, actor.standing.user_id):
        raise _no_user(terms.user_id)
    if terms.user_id is None and not administered:
        raise Forbidden("only an admin may take a key from its user", param="user_id")
    if terms.team_id is None and before.team_id is not None and not own:
        raise Forbidden("only a proxy_admin may take a key out of its team", param="team_id")
    if terms.blocked is False and before.blocked and not administered:
        raise Forbidden("only an admin may unblock a key", param="blocked")
    _check_team(terms, actor, own=own)


def check_secret(before: StoredKey, actor: Actor) -> None:
    """Raises Forbidden: whoever gets a new secret of a key acts as its user."""
    if not actor.tenant.everything and before.user_id not in (None, actor.standing.user_id):
        raise Forbidden(
            "this key acts as another person: that person, or a proxy_admin, may regenerate it; it can be deleted",
            param="key",
        )


def _check_team(terms: KeyTerms, actor: Actor, *, own: bool) -> None:
    if terms.team_id is UNSET or terms.team_id is None or terms.team_id in actor.tenant.team_ids:
        return
    if not own or terms.team_id not in actor.standing.member_of_teams:
        raise NotFound(f'no such team: "{terms.team_id}"', param="team_id")


def _no_user(user_id: str) -> NotFound:
    return NotFound(f'no such user: "{user_id}"; you make keys of your own, and of your teams', param="user_id")
