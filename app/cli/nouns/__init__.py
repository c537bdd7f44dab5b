"""The nouns of the command line, as data: which route each verb calls, with what, and what it prints."""

import click

from app.cli.nouns.budgets import BUDGETS
from app.cli.nouns.customers import CUSTOMERS
from app.cli.nouns.keys import KEYS
from app.cli.nouns.models import MODELS
from app.cli.nouns.noun import build
from app.cli.nouns.organizations import ORGANIZATIONS
from app.cli.nouns.projects import PROJECTS
from app.cli.nouns.tags import TAGS
from app.cli.nouns.teams import TEAMS
from app.cli.nouns.users import USERS

NOUNS = (KEYS, TEAMS, PROJECTS, USERS, ORGANIZATIONS, CUSTOMERS, TAGS, BUDGETS, MODELS)


def find_noun(name: str) -> click.Group:
    """The commands of a noun. Raises StopIteration for one that there is not."""
    return build(next(noun for noun in NOUNS if noun.name == name))
