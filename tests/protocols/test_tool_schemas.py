"""A function's parameters have an object at their root, whatever a generator wrote there."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import InvalidRequest
from app.protocols.tool_schemas import rooted

KEYWORDS = st.sampled_from(
    ["type", "properties", "required", "anyOf", "oneOf", "allOf", "$ref", "$defs", "enum", "not", "x"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["object", "array", "#/$defs/x", "#"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=4),
    max_leaves=12,
)


def said(schema: dict[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(bytes(rooted(json.dumps(schema), "tools.0.parameters")[0]))
    return value


def test_an_object_goes_out_as_it_came() -> None:
    schema = '{"type": "object", "properties": {"n": {"maximum": 1.10}}}'
    written, reworded = rooted(schema, "p")
    assert (bytes(written), reworded) == (schema.encode(), False)


@pytest.mark.parametrize("schema", [None, "null", "{}", '{"type":"object"}', '{"type":["object","null"]}'])
def test_a_function_without_parameters_has_an_empty_object(schema: str | None) -> None:
    assert json.loads(bytes(rooted(schema, "p")[0])) == {"type": "object", "properties": {}}


def test_a_choice_at_the_root_is_told_in_words() -> None:
    rule = [{"required": ["route"]}, {"required": ["file"]}]
    properties = {"route": {"type": "string"}, "file": {"type": "string"}}
    given = said({"type": "object", "description": "Either.", "properties": properties, "anyOf": rule})
    assert given == {
        "type": "object",
        "properties": properties,
        "description": 'Either.\n\n{"anyOf":[{"required":["route"]},{"required":["file"]}]}',
    }


def test_what_the_branches_know_is_put_together() -> None:
    given = said(
        {
            "oneOf": [
                {"properties": {"kind": {"const": "a"}, "size": {"type": "integer"}}, "required": ["kind", "size"]},
                {"properties": {"kind": {"const": "b"}}, "required": ["kind"]},
            ]
        }
    )
    assert given["properties"] == {"kind": {"anyOf": [{"const": "a"}, {"const": "b"}]}, "size": {"type": "integer"}}
    assert given["required"] == ["kind"]


def test_a_reference_at_the_root_is_followed() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "additionalProperties": False}
    assert said({"$ref": "#/$defs/node", "$defs": {"node": node}}) == {**node, "$defs": {"node": node}}


def test_what_is_no_object_is_refused_by_its_place() -> None:
    with pytest.raises(InvalidRequest) as caught:
        rooted("[1]", "tools.3.parameters")
    assert caught.value.param == "tools.3.parameters"


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYWORDS, JSON, max_size=5))
def test_no_schema_breaks_it(schema: dict[str, Any]) -> None:
    given_schema = said(schema)
    if not isinstance(schema.get("type"), str):
        assert given_schema["type"] == "object"
        assert given_schema.keys().isdisjoint({"anyOf", "oneOf", "allOf", "$ref", "enum", "not"})


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf"])
def test_schemas_that_refer_to_one_another_again_and_again_are_put_together_once(keyword: str) -> None:
    again = {keyword: [{"$ref": "#/$defs/a"}] * 50, "properties": {"n": {"type": "integer"}}}
    given = said({keyword: [{"$ref": "#/$defs/a"}] * 50, "$defs": {"a": again}})
    assert given["properties"] == {"n": {"type": "integer"}}


def test_a_root_of_which_references_make_ten_thousand_parts_is_refused() -> None:
    large: dict[str, Any] = {"properties": {f"p{number}": {} for number in range(200)}}
    schema = {"anyOf": [{"$ref": "#/$defs/a"}] * 50, "$defs": {"a": large}}
    with pytest.raises(InvalidRequest, match="more than 5000 parts"):
        rooted(json.dumps(schema), "tools.0.parameters")
