"""The model list, as Claude Code and the two SDKs read it."""

import json
from typing import Any

import pytest

from app.base.errors import InvalidRequest
from app.base.ids import DeploymentId
from app.domain.catalog import Deployment, Model
from app.domain.pricing import PriceSheet, Rates, always
from app.protocols import model_list

CREATED = 1_795_219_200


def model(name: str, display_name: str = "", description: str = "", window: int | None = None) -> Model:
    sheet = always(PriceSheet("v1", "config", Rates(1, 1, 1, 1, 1, 1, 1, 1)))
    deployment = Deployment(DeploymentId("dep_1"), "openai", name, "https://api.openai.com/v1", None, sheet)
    return Model(name, (deployment,), display_name, description, created_at_unix=CREATED, max_input_tokens=window)


MODELS = [model(f"claude-{letter}", letter.upper()) for letter in "abcde"]


def page(query: str, models: list[Model] = MODELS) -> tuple[str, bool]:
    answer = json.loads(model_list.render_anthropic_list(models, query.encode()))
    letters = "".join(entry["id"][-1] for entry in answer["data"])
    assert answer["first_id"] == (answer["data"][0]["id"] if letters else None)
    assert answer["last_id"] == (answer["data"][-1]["id"] if letters else None)
    return letters, answer["has_more"]


@pytest.mark.parametrize(
    ("query", "letters", "has_more"),
    [
        ("", "abcde", False),
        ("limit=1000", "abcde", False),
        ("limit=5", "abcde", False),
        ("limit=2", "ab", True),
        ("limit=2&after_id=claude-b", "cd", True),
        ("limit=2&after_id=claude-d", "e", False),
        ("limit=2&after_id=claude-e", "", False),
        ("limit=2&before_id=claude-e", "cd", True),
        ("limit=2&before_id=claude-c", "ab", False),
        ("limit=2&before_id=claude-a", "", False),
        ("beta=true&limit=1&after_id=claude%2Da", "b", True),
    ],
)
def test_pages_turn_in_both_directions(query: str, letters: str, has_more: bool) -> None:
    assert page(query) == (letters, has_more)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("limit=%C2%B2", "limit"),
        ("after_id=claude-x", "after_id"),
        ("before_id=claude-x", "before_id"),
        ("before_id=claude-a&after_id=claude-b", "before_id"),
    ],
)
def test_a_page_that_cannot_be_is_refused_by_parameter(query: str, param: str) -> None:
    with pytest.raises(InvalidRequest, match=f'"{param}"') as caught:
        page(query)
    assert caught.value.param == param


def test_an_empty_list_is_a_list() -> None:
    assert page("limit=1000", []) == ("", False)
    assert json.loads(model_list.render_openai_list([])) == {"object": "list", "data": []}


@pytest.mark.parametrize(
    ("given", "entry"),
    [
        (
            model("claude-opus-5-5", "Claude Opus 5.5", "For hard work.\nAsk first."),
            {"display_name": "Claude Opus 5.5", "description": "For hard work. Ask first."},
        ),
        (model("claude-relay"), {"display_name": "claude-relay", "description": "openai"}),
        (model("claude-relay", "  ", " \n"), {"display_name": "claude-relay", "description": "openai"}),
        (model("claude-x", "X", "", 1_048_576), {"display_name": "X", "description": "openai · 1M context"}),
        (model("claude-x", "X", "Ours", 400_000), {"display_name": "X", "description": "Ours"}),
        (model("claude-x", "X", "Ours", 128_000), {"display_name": "X", "description": "Ours · 128K context"}),
    ],
)
def test_an_entry_in_anthropics_shape_has_no_null(given: Model, entry: dict[str, Any]) -> None:
    expected = {"type": "model", "id": given.name, "created_at": "2026-11-21T00:00:00Z"} | entry
    assert json.loads(model_list.render_anthropic(given)) == expected
    assert json.loads(model_list.render_anthropic_list([given]))["data"] == [expected]


def test_models_of_other_makers_stand_in_the_list_once_more_under_a_name_that_claude_code_keeps() -> None:
    models = [model("gpt-5.6", "GPT-5.6"), model("claude-a"), model("demo/echo", "Demo echo", "Repeats.")]
    entries = json.loads(model_list.render_anthropic_list(models))["data"]
    assert [entry["id"] for entry in entries] == [
        "gpt-5.6",
        "claude-a",
        "demo/echo",
        "anthropic-gateway/gpt-5.6",
        "anthropic-gateway/demo/echo",
    ]
    assert [entry["display_name"] for entry in entries[3:]] == ["GPT-5.6", "Demo echo"]
    assert page("limit=2&after_id=demo/echo", models) == ("6o", False)
    assert json.loads(model_list.render_anthropic(models[0], "anthropic-gateway/gpt-5.6"))["id"] == entries[3]["id"]
    assert json.loads(model_list.render_anthropic(models[0], "gpt-5.6"))["id"] == "gpt-5.6"


def test_an_entry_in_openais_shape() -> None:
    expected = {"id": "gpt-5.6", "object": "model", "created": CREATED, "owned_by": "openai"}
    assert json.loads(model_list.render_openai(model("gpt-5.6"))) == expected
    assert json.loads(model_list.render_openai_list([model("gpt-5.6")]))["data"] == [expected]
