"""What people read of a change in place of the name by which the audit knows it: one table, and the kinds of things."""

from collections.abc import Mapping

KINDS: Mapping[str, str] = {
    "access_group": "Access group",
    "alert": "Alert",
    "alert_destination": "Destination of alerts",
    "budget": "Shared budget",
    "credential": "Credential",
    "customer": "Customer",
    "demo_data": "Demo data",
    "device": "Sign-in of a program",
    "key": "Key",
    "key_id": "Encryption key",
    "managed_settings": "Settings of Claude Code",
    "model": "Model",
    "spend_month": "Month",
    "organization": "Organization",
    "price": "Price",
    "price_terms": "Discounts and margins",
    "project": "Project",
    "receipts": "Receipts",
    "spend_aggregates": "Sums of a day",
    "tag": "Tag",
    "team": "Team",
    "user": "Person",
}
"""Of what is changed, by the names of the audit."""

ACTIONS: Mapping[str, Mapping[str, str]] = {
    "Keys": {
        "key.generate": "Key made",
        "key.update": "Key changed",
        "key.regenerate": "Key given a new secret",
        "key.block": "Key blocked",
        "key.unblock": "Key unblocked",
        "key.reset_spend": "Spend of key set back",
        "key.delete": "Key deleted",
    },
    "Teams and projects": {
        "team.new": "Team made",
        "team.update": "Team changed",
        "team.block": "Team blocked",
        "team.unblock": "Team unblocked",
        "team.delete": "Team deleted",
        "team.member_add": "Member added to team",
        "team.member_update": "Member of team changed",
        "team.member_delete": "Member removed from team",
        "project.new": "Project made",
        "project.update": "Project changed",
        "project.delete": "Project deleted",
    },
    "Organizations": {
        "organization.new": "Organization made",
        "organization.update": "Organization changed",
        "organization.delete": "Organization deleted",
        "organization.member_add": "Member added to organization",
        "organization.member_update": "Member of organization changed",
        "organization.member_delete": "Member removed from organization",
    },
    "People": {
        "user.new": "Person added",
        "user.update": "Person changed",
        "user.delete": "Person deleted",
        "user.invite": "Person invited",
        "user.owner": "Owner made",
        "user.password": "Password set",
        "user.sign_in": "Signed in",
        "user.session_end": "Session ended",
        "user.sign_out_everywhere": "Signed out everywhere",
        "user.identity_link": "Single sign-on linked",
        "user.identity_unlink": "Single sign-on unlinked",
        "device.approve": "Program let in",
        "device.deny": "Program turned away",
    },
    "Customers and tags": {
        "customer.new": "Customer made",
        "customer.update": "Customer changed",
        "customer.block": "Customer blocked",
        "customer.unblock": "Customer unblocked",
        "customer.delete": "Customer deleted",
        "tag.new": "Tag made",
        "tag.update": "Tag changed",
        "tag.delete": "Tag deleted",
    },
    "Models and credentials": {
        "model.new": "Deployment added",
        "model.update": "Deployment changed",
        "model.block": "Deployment blocked",
        "model.unblock": "Deployment unblocked",
        "model.delete": "Deployment deleted",
        "access_group.new": "Access group made",
        "access_group.update": "Access group changed",
        "access_group.budget": "Budget of access group set",
        "access_group.budget.delete": "Budget of access group taken away",
        "access_group.delete": "Access group deleted",
        "credential.new": "Credential stored",
        "credential.update": "Credential changed",
        "credential.delete": "Credential deleted",
        "credential.reseal": "Credentials encrypted anew",
        "managed_settings.update": "Settings of Claude Code changed",
    },
    "Money": {
        "budget.new": "Shared budget made",
        "budget.update": "Shared budget changed",
        "budget.delete": "Shared budget deleted",
        "price.new": "Price set",
        "price.withdraw": "Price ended",
        "price.delete": "Price deleted",
        "price.import": "Prices taken in",
        "price.discount": "Discounts changed",
        "price.margin": "Margins changed",
        "spend.reprice": "Day priced anew",
        "close": "Month closed",
        "rebuild": "Sums of a day written anew",
        "export": "Receipts exported",
        "drop": "Receipts dropped",
    },
    "Alerts": {
        "alert_destination.new": "Destination of alerts added",
        "alert_destination.delete": "Destination of alerts deleted",
        "alert.test": "Test alert sent",
        "alert.retry": "Alert sent again",
    },
    "Other": {"import.litellm": "Taken over from LiteLLM", "demo_data.fill": "Demo data filled in"},
}
"""By what they are about; the names are those of the audit and its routes."""

_WORDS = {action: words for group in ACTIONS.values() for action, words in group.items()}


def words_of(action: str) -> str:
    """Its name, where an older version has written what nobody writes any more."""
    return _WORDS.get(action, action)


def is_known(action: str) -> bool:
    return action in _WORDS


def kind_of(object_type: str) -> str:
    return KINDS.get(object_type, object_type.replace("_", " ").capitalize())
