"""Policies of stepping down: what they say, and when one is reached."""

from datetime import UTC, datetime

import pytest

from app.base.ids import BudgetId
from app.domain.spend import BudgetClaim, BudgetStanding
from app.domain.step_down import Rung, parse_step_down
from tests.gateway.test_pipeline import CATALOG

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SONNET = CATALOG.models[0]


def standing(spent: int, soft: int | None = None, *, pace: bool = False) -> BudgetStanding:
    claim = BudgetClaim("c", BudgetId("b"), "team:red", 1_000, 10, NOW, None, NOW, pace=pace, soft_nanousd=soft)
    return BudgetStanding(claim, spent, 500)


def test_helpers_come_first_where_no_class_is_named() -> None:
    (rung,) = parse_step_down({"to": "haiku", "at": 80})
    assert [rung.is_for(one, SONNET) for one in ("auxiliary", "subagent", "main", "unknown")] == [
        True,
        True,
        False,
        False,
    ]
    everything, opus = parse_step_down(
        [
            {"to": "haiku", "at": "limit", "classes": "all"},
            {"to": "haiku", "at": 1, "classes": ["main"], "models": ["*opus*"]},
        ]
    )
    assert everything.is_for("unknown", SONNET)
    assert not opus.is_for("main", SONNET)


def test_a_rung_is_reached_by_what_is_spent_of_any_budget() -> None:
    percent, soft, limit = Rung("haiku", 80), Rung("haiku", "soft_budget"), Rung("haiku", "limit")
    assert not percent.is_reached([standing(799)])
    assert percent.is_reached([standing(0), standing(800)])
    assert not percent.is_reached([standing(1_000, pace=True)])
    assert not soft.is_reached([standing(999), standing(499, 500)])
    assert soft.is_reached([standing(500, 500)])
    assert not limit.is_reached([standing(1_000)])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("haiku", "must be an object"), ({"to": "haiku"}, '"at" must be per cent'), ({"at": 80}, '"to" must name'),
        ({"to": "haiku", "at": 0}, '"at" must be per cent'),
        ({"to": "haiku", "at": 80, "class": []}, '"class" is not known'),
        ({"to": "haiku", "at": 80, "classes": ["mane"]}, '"classes" must be "all"'),
        ({"to": "haiku", "at": 80, "models": "opus"}, '"models" must be a list'), ([{}] * 11, "at most 10"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_named(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_step_down(value)
