"""What a take-over from LiteLLM makes and leaves, decided in one go before anything is written."""

from datetime import datetime

from app.admin.litellm import rows as tables
from app.admin.litellm.draft import Draft, Plan, Present
from app.admin.litellm.keys import KeyPlanner
from app.admin.litellm.owners import OwnerPlanner
from app.admin.litellm.rows import Tables
from app.admin.litellm.spend import SpendPlanner


def make_plan(source: Tables, present: Present, pepper: bytes, at: datetime) -> Plan:
    """Raises Unprocessable for a row without what names it."""
    draft = Draft(source, present, at)
    OwnerPlanner(draft).run()
    keys = KeyPlanner(draft, pepper)
    keys.run()
    SpendPlanner(draft, keys).run()
    for row in source[tables.MODELS]:
        draft.plan.left["models of the database"].append(row.text("model_name") or "?")
    return draft.plan
