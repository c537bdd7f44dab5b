"""Bodies are read and changed at their top level only, and no trick sends what was not authorised."""

import json
import string
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import InvalidRequest
from app.protocols.envelope import as_label, read_count, read_fields, read_flag, read_model, splice

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
plain_keys = st.sampled_from(["model", "stream", "messages", "a", "b", "größe", "x y"]) | st.text(
    string.ascii_letters + '"\\\n\x00é', max_size=5
)
space = st.text(" \t\n\r", max_size=3)


@st.composite
def bodies(draw: st.DrawFn, *, unique: bool) -> tuple[list[bytes], dict[str, int]]:
    """A JSON object in pieces, as a client might write it, and which piece is the value of which key."""
    pairs = draw(
        st.lists(st.tuples(plain_keys, json_values), max_size=6, unique_by=(lambda pair: pair[0]) if unique else None)
    )
    pieces = [draw(space).encode(), b"{", draw(space).encode()]
    places: dict[str, int] = {}
    for number, (key, value) in enumerate(pairs):
        escaped = not unique and draw(st.booleans())
        name = json.dumps(key).encode() if escaped else msgspec.json.encode(key)
        pieces += [b"," if number else b"", draw(space).encode(), name, draw(space).encode(), b":"]
        pieces += [draw(space).encode(), json.dumps(value).encode(), draw(space).encode()]
        places[key] = len(pieces) - 2
    return [*pieces, b"}", draw(space).encode()], places


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b" ", "ends too early"),
        (b"{", "ends too early"),
        (b'{"model": NaN}', "byte 10"),
        (b'{"messages": [{"x": [NaN]}]}', "byte 21"),
        (b'{"a": [Infinity]}', "byte 7"),
        (b'{"a": [-Infinity]}', "byte 8"),
        (b'{"a": 1} {"b": 2}', "trailing characters"),
        (b'{"a": 1,}', "trailing comma"),
        (b'{"a": [1, 01]}', "invalid number"),
        (b'{"a": ["\\udc00"]}', "surrogate"),
        (b'{"a": ["\\ud800"]}', "surrogate"),
        (b'{"a": ["\\ud800\\ud800"]}', "surrogate"),
        (b'{"\\ud800": 1}', "surrogate"),
        (b'{"a": ["\xff"]}', "UTF-8: invalid start byte (byte 8)"),
        (b'{"a": {"b": "\xed\xa0\x80"}}', "UTF-8"),
        (b'{"a": "\xc0\x80"}', "UTF-8"),
        (b'{"\xff": 1}', "UTF-8"),
        (b'{"a": "\x01"}', "byte 7"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"\x1f\x8b\x08\x00", "is compressed (gzip); send plain JSON"),
        (b"\x78\x9c\xab\xae", "is compressed (deflate); send plain JSON"),
        (b"\x00{}", "byte 0"),
        (b"[]", "no object"),
        (b"null", "no object"),
        (b'"model"', "no object"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"a": ' * 100_000, "nested too deeply"),
        (b"<html>", "byte 0"),
    ],
)
def test_what_is_no_json_object_is_an_invalid_request_that_says_where(body: bytes, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_fields(body)
    assert said in caught.value.message
    assert len(caught.value.message) < 200


@settings(max_examples=300, deadline=None)
@given(st.integers(16 * 1024 - 8, 16 * 1024 + 8), st.sampled_from(["é", "漢", "🌍"]), st.data())
def test_a_character_across_a_slice_is_read_and_a_broken_one_is_found(
    lead: int, character: str, data: st.DataObject
) -> None:
    text = b'{"model":"' + b"a" * (lead - 10) + character.encode() * 20_000 + b'"}'
    assert read_fields(text)
    place = data.draw(st.integers(lead - 2, lead + 40) | st.integers(2 * 16 * 1024 - 4, 2 * 16 * 1024 + 4))
    broken = text[:place] + data.draw(st.sampled_from([b"\x80", b"\xff", b"\xe6", b"\x80" * 5])) + text[place:]
    with pytest.raises(UnicodeDecodeError) as expected:
        broken.decode()
    with pytest.raises(InvalidRequest) as caught:
        read_fields(broken)
    assert caught.value.message.endswith(f"(byte {expected.value.start})")


def test_a_first_byte_that_continues_nothing_is_no_utf8() -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        read_fields(b"\x80{}")


def test_the_message_never_repeats_the_body() -> None:
    for body in (b'{"secret-prompt": }', b'{"a": secret-prompt}', b'{"a": "secret-prompt', b'{"secret-prompt\xff": 1}'):
        with pytest.raises(InvalidRequest) as caught:
            read_fields(body)
        assert "secret" not in caught.value.message


def test_nested_bytes_are_kept_as_they_came() -> None:
    fields = read_fields(b'{"a": [1.10,  1e2 , 10000000000000000000000001], "b":{"k" :"\\u0041"} }')
    assert {name: bytes(raw) for name, raw in fields.items()} == {
        "a": b"[1.10,  1e2 , 10000000000000000000000001]",
        "b": b'{"k" :"\\u0041"}',
    }


@pytest.mark.parametrize(
    ("body", "changes", "expected"),
    [
        (b'{"model":"a","x":1}', {"model": b'"b"'}, b'{"model":"b","x":1}'),
        (b' { "x" : 1 ,\n "model" : "a" } \n', {"model": b'"b"'}, b' { "x" : 1 ,\n "model" : "b" } \n'),
        (b'{"model":"a"}', {"s": b"{}"}, b'{"model":"a","s":{}}'),
        (b'{ "model": "a" }', {"s": b"1", "t": b"2"}, b'{ "model": "a","s":1,"t":2 }'),
        (b"{ }", {"s": b"1", "t": b"2"}, b'{"s":1,"t":2 }'),
        (b'{"a":1, "b":2, "c":3}', {"a": None}, b'{"b":2, "c":3}'),
        (b'{"a":1, "b":2, "c":3}', {"b": None}, b'{"a":1, "c":3}'),
        (b'{"a":1, "b":2, "c":3}', {"c": None}, b'{"a":1, "b":2}'),
        (b'{"a":1, "b":2 }', {"a": None, "b": None}, b"{ }"),
        (b'{"a":1, "b":2 }', {"a": None, "b": None, "c": b"3"}, b'{"c":3 }'),
        (b'{"a":1}', {"b": None}, b'{"a":1}'),
        (b"{}", {}, b"{}"),
    ],
)
def test_a_splice_changes_the_named_fields_and_no_other_byte(
    body: bytes, changes: Mapping[str, bytes | None], expected: bytes
) -> None:
    assert splice(body, read_fields(body), changes) == expected


@settings(max_examples=300, deadline=None)
@given(bodies(unique=True), st.data())
def test_without_duplicates_only_the_changed_value_differs(
    made: tuple[list[bytes], dict[str, int]], data: st.DataObject
) -> None:
    pieces, places = made
    body = b"".join(pieces)
    assert splice(body, read_fields(body), {}) == body
    for key in data.draw(st.lists(st.sampled_from(sorted(places)), max_size=2)) if places else []:
        pieces[places[key]] = b'"changed"'
        changed = splice(body, read_fields(body), {key: b'"changed"'})
        assert changed == b"".join(pieces)
        body = changed


@settings(max_examples=300, deadline=None)
@given(bodies(unique=False), st.dictionaries(plain_keys, st.none() | json_values, max_size=3))
def test_a_splice_parses_to_the_same_object_but_for_its_changes(
    made: tuple[list[bytes], dict[str, int]], changes: dict[str, Any]
) -> None:
    body = b"".join(made[0])
    encoded = {key: None if value is None else json.dumps(value).encode() for key, value in changes.items()}
    sent = splice(body, read_fields(body), encoded)
    expected = {key: value for key, value in (json.loads(body) | changes).items() if changes.get(key, ...) is not None}
    assert json.loads(sent) == expected
    assert len(_pairs_of(sent)) == len(expected), "a key stands twice"


SMUGGLED = [
    b'{"model":"cheap","x":1,"model":"dear"}',
    b'{"model":"dear","x":1,"model":"cheap"}',
    b'{"model":"cheap","model":"cheap"}',
    b'{"model":"cheap","mod\\u0065l":"dear"}',
    b'{"mod\\u0065l":"dear","model":"cheap"}',
    b'{"\\u006d\\u006f\\u0064\\u0065\\u006c":"dear"}',
    b'{"model":"a","model":"aa","x":{"model":"dear"}}',
    b'{"x":"\\"model\\":\\"dear\\"","model":"cheap","x":"\\"model\\":\\"dear\\""}',
    b'{"n":1,"n":12,"model":"cheap","n":1,"model":"dear"}',
    b'{"n":12,"n":1,"model":"cheap"}',
    b'{"b":2,"model":"cheap","model":"cheap","b":2,"model\\":\\"cheap\\",\\"b":2}',
    b'{"model":"cheap","model\\":\\"dear\\",\\"y":1,"model":"dear","y":1}',
    b' {"model" : "cheap" , "x" : 1 , "model" : "dear" } ',
    b'{"x":{"a":1},"x":{"a":1},"model":"cheap"}',
    b'{"":0,"":"model","model":"cheap","":1}',
]


@pytest.mark.parametrize("body", SMUGGLED)
def test_whatever_stands_twice_exactly_one_model_goes_out(body: bytes) -> None:
    _assert_one_model(body)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [b'"model"', b'"mod\\u0065l"', b'"\\u006dodel"', b'"m"', b'"n"', b'"model\\":1,\\"n"', b'"n\\":1,\\"m"']
            ),
            st.sampled_from([b'"cheap"', b'"dear"', b'"c"', b"1", b"12", b"1.0", b'{"model":"dear"}', b'",\\"model"']),
            st.sampled_from([b"", b" ", b"\n"]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_no_arrangement_of_keys_smuggles_a_second_model(members: list[tuple[bytes, bytes, bytes]]) -> None:
    _assert_one_model(b"{" + b",".join(s + key + s + b":" + s + value + s for key, value, s in members) + b"}")


def _pairs_of(text: bytes) -> list[tuple[str, Any]]:
    """The top-level pairs, duplicates included."""
    found: list[list[tuple[str, Any]]] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.append(pairs)
        return dict(pairs)

    json.loads(text, object_pairs_hook=note)
    return found[-1]


def _assert_one_model(body: bytes) -> None:
    sent = splice(body, read_fields(body), {"model": b'"upstream"'})
    pairs = _pairs_of(sent)
    assert [value for key, value in pairs if key == "model"] == ["upstream"]
    assert len({key for key, _ in pairs}) == len(pairs)
    assert dict(json.loads(sent)) == json.loads(body) | {"model": "upstream"}


def test_megabytes_of_white_space_are_walked_quickly() -> None:
    body = b'{"model"' + b" " * 8_000_000 + b':"a"}'
    began_s = time.perf_counter()
    assert splice(body, read_fields(body), {"model": b'"b"'}).endswith(b':"b"}')
    assert time.perf_counter() - began_s < 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "model"),
        (b'{"model":null}', "model"),
        (b'{"model":""}', "model"),
        (b'{"model":5}', "model"),
        (b'{"model":1e999}', "model"),
        (b'{"model":["a"]}', "model"),
        (b'{"model":"a\\u0000b"}', "model"),
        (b'{"model":"' + b"a" * 513 + b'"}', "model"),
    ],
)
def test_a_model_that_is_no_name_is_refused_by_field(body: bytes, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_model(read_fields(body))
    assert caught.value.param == param
    assert '"model"' in caught.value.message


@pytest.mark.parametrize("value", [b'"true"', b"1", b"0", b"{}", b"[]"])
def test_a_flag_is_a_boolean_or_null(value: bytes) -> None:
    with pytest.raises(InvalidRequest, match='"stream" must be true or false'):
        read_flag(read_fields(b'{"stream":' + value + b"}"), "stream")
    assert read_flag(read_fields(b'{"stream":true}'), "stream") is True
    assert read_flag(read_fields(b'{"stream":null}'), "stream") is False
    assert read_flag(read_fields(b"{}"), "stream") is False


@pytest.mark.parametrize("value", [b'"5"', b"5.0", b"true", b"-1", b"2147483648", b"1" * 400, b"{}"])
def test_a_count_is_a_whole_number_from_zero(value: bytes) -> None:
    with pytest.raises(InvalidRequest, match='"max_tokens"') as caught:
        read_count(read_fields(b'{"max_tokens":' + value + b"}"), "max_tokens")
    assert caught.value.param == "max_tokens"
    assert read_count(read_fields(b'{"max_tokens":0}'), "max_tokens") == 0
    assert read_count(read_fields(b'{"max_tokens":null}'), "max_tokens") is None


def test_a_label_fits_into_the_books() -> None:
    assert as_label("  a\0b ") == "ab"
    assert as_label(" \0 ") is None
    assert as_label(5) is None
    assert as_label("é" * 300) == "é" * 256
