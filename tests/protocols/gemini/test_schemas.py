"""Schemas for Gemini's older models: references are written out, as long as that ends."""

import json
from typing import Any

import pytest

from app.base.errors import InvalidRequest
from app.protocols.gemini.schemas import reduced
from app.protocols.losses import Losses

AGAIN = [{"$ref": "#/$defs/a"}]


def test_what_is_referred_to_is_written_out() -> None:
    schema = {"allOf": AGAIN * 2, "$defs": {"a": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}}}
    written = json.loads(bytes(reduced(json.dumps(schema), "p", Losses())))
    assert written == {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": AGAIN * 50, "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}] * 50}, "b": {"anyOf": AGAIN * 50}}},
        {"anyOf": AGAIN * 2_000, "$defs": {"a": {"enum": [str(number) for number in range(10_000)]}}},
        {"allOf": AGAIN * 2_000, "$defs": {"a": {"required": [str(number) for number in range(10_000)]}}},
        {"allOf": AGAIN * 2_000, "$defs": {"a": {"properties": {str(number): {} for number in range(10_000)}}}},
    ],
    ids=["references in references", "values", "required names", "properties"],
)
def test_what_a_few_references_make_millions_of_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="more than 5000 parts"):
        reduced(json.dumps(schema), "p", Losses())
