"""Settings of single sign-on: what is read of them, and what is refused."""

import pytest

from app.domain.group_mapping import GroupRule, map_groups
from app.settings import load_settings
from app.settings.single_sign_on import single_sign_on_of
from tests.settings.test_environment import refused

ISSUER = {"KEYHOUSE_OIDC_ISSUER": "https://id.example.com", "KEYHOUSE_OIDC_CLIENT_ID": "keyhouse"}


def test_groups_are_read_with_their_roles_teams_and_organizations() -> None:
    rules = single_sign_on_of(
        load_settings(
            {
                **ISSUER,
                "KEYHOUSE_OIDC_ROLES": "chiefs=proxy_admin, CN=makers%2COU=all=internal_user",
                "KEYHOUSE_OIDC_TEAMS": "a=team-1,b=team-1:admin,c=urn:team:admin",
                "KEYHOUSE_OIDC_ORGANIZATIONS": "a=org:org_admin",
                "KEYHOUSE_OIDC_EMAIL_DOMAINS": "Example.com",
            },
            {},
        )
    )

    assert rules is not None
    assert rules.groups.roles == [GroupRule("chiefs", "proxy_admin"), GroupRule("CN=makers,OU=all", "internal_user")]
    assert [(rule.place, rule.role) for rule in rules.groups.teams] == [
        ("team-1", "user"), ("team-1", "admin"), ("urn:team", "admin"),
    ]  # fmt: skip
    assert (set(rules.email_domains), rules.auto_create, rules.issuer.wants_groups) == ({"example.com"}, False, True)
    mapped = map_groups(rules.groups, ["a", "b", "CN=makers,OU=all", "chiefs"])
    assert (mapped.role, mapped.teams, mapped.organizations) == (
        "proxy_admin",
        {"team-1": "admin"},
        {"org": "org_admin"},
    )


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({**ISSUER, "KEYHOUSE_OIDC_ISSUER": "http://id.example.com"}, "does not begin with https://"),
        ({"KEYHOUSE_OIDC_ISSUER": "https://id.example.com"}, "oidc_client_id is not"),
        ({"KEYHOUSE_OIDC_ROLES": "a=auditor"}, "oidc_issuer is not"),
        ({"KEYHOUSE_PASSWORD_SIGN_IN": "false"}, "nobody could sign in"),
        ({**ISSUER, "KEYHOUSE_OIDC_ROLES": "a=emperor"}, 'the role "emperor"'),
        ({**ISSUER, "KEYHOUSE_OIDC_TEAMS": "research"}, "is not group=id"),
        ({**ISSUER, "KEYHOUSE_OIDC_DEFAULT_ROLE": "proxy_admin"}, "is not one of"),
        ({**ISSUER, "KEYHOUSE_OIDC_EMAIL_DOMAINS": "@example.com"}, "is no domain"),
        ({"KEYHOUSE_PUBLIC_URL": "keyhouse.example.com"}, "is no address"),
    ],
)
def test_what_could_not_work_is_refused_at_the_start(environ: dict[str, str], words: str) -> None:
    assert any(words in line for line in refused(environ))


def test_an_issuer_that_lets_everybody_in_is_noted() -> None:
    settings = load_settings({**ISSUER, "KEYHOUSE_OIDC_AUTO_CREATE": "true"}, {})

    assert any("gets an account" in notice for notice in settings.notices)
