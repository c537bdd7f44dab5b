"""What a call was for, whose project it is and who made it, as its headers and body say."""

from typing import Any

import msgspec
import pytest

from app.base.errors import InvalidRequest
from app.domain.access import Principal
from app.gateway.attribution import class_of, client_of, project_of, tags_of
from app.gateway.call import Call
from app.protocols.codec import Envelope
from tests.domain.records import team, virtual_key
from tests.gateway.test_pipeline import call

SESSION = (b"x-claude-code-session-id", b"0a1b")
AGENT = (b"x-claude-code-agent-id", b"ag_1")


def envelope(max_output_tokens: int | None = 32_000, **fields: Any) -> Envelope:
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    return Envelope(b"", raw, "claude", True, max_output_tokens, None, None)


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ([SESSION], {"tools": [{"name": "Bash"}]}, "main"),
        ([SESSION, AGENT], {"tools": [{"name": "Bash"}]}, "subagent"),
        ([SESSION], {"output_config": {"format": {}}}, "auxiliary"),
        ([SESSION], {"tools": []}, "auxiliary"),
        ([SESSION], {"max_output_tokens": 1}, "probe"),
        ([], {"max_output_tokens": 1}, "probe"),
        ([], {"tools": [{"name": "Bash"}]}, "unknown"),
        ([SESSION, (b"x-claude-code-request-class", b"compaction")], {}, "compaction"),
        ([SESSION, AGENT, (b"x-claude-code-request-class", b"workflow")], {}, "workflow"),
        ([SESSION, (b"x-claude-code-request-class", b"of tomorrow")], {"tools": [1]}, "main"),
        ([(b"x-claude-code-request-class", b"batch")], {}, "unknown"),
    ],
)
def test_a_call_is_classed_by_the_hint_it_brings_or_by_what_it_looks_like(
    headers: list[tuple[bytes, bytes]], body: dict[str, Any], expected: str
) -> None:
    assert class_of(dict(headers), envelope(**body)) == expected


def sent(*headers: tuple[bytes, bytes]) -> Call:
    return call(headers=list(headers))


async def test_the_project_is_the_nearest_one_named() -> None:
    body = msgspec.structs.replace(envelope(), tags=("project:of the body",))
    header = (b"x-keyhouse-tag-project", b"of%20the%20header")
    bare, tagged = Principal(virtual_key(), None), Principal(virtual_key(tags=("project:of the key",)), None)
    of_team = Principal(virtual_key(), team(metadata={"project": "of the team"}))
    of_key = Principal(virtual_key(metadata={"project": "of the metadata"}), team(metadata={"project": "of the team"}))
    found = [
        project_of(tags_of(sent(header), tagged, body), of_key),
        project_of(tags_of(sent(), tagged, body), of_key),
        project_of(tags_of(sent(), tagged, envelope()), of_key),
        project_of((), of_key),
        project_of(("project:",), of_team),
        project_of((), bare),
        project_of((), Principal(virtual_key(metadata={"project": 7}), None)),
    ]
    assert found == ["of the header", "of the body", "of the key", "of the metadata", "of the team", None, None]


def test_a_key_of_a_project_counts_there_whatever_the_call_says() -> None:
    principal = Principal(virtual_key(project_id="proj_1", metadata={"project": "of the metadata"}), None)
    assert project_of(("project:of the header",), principal) == "proj_1"


async def test_a_header_that_repeats_a_tag_of_the_key_names_the_project_all_the_same() -> None:
    principal = Principal(virtual_key(tags=("project:a", "project:b")), None)
    tags = tags_of(sent((b"x-keyhouse-tag-project", b"a")), principal, envelope())
    assert (tags, project_of(tags, principal)) == (("project:b", "project:a"), "a")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ((b"ai-cost-team", b"search"), ("team:search",)),
        ((b"helicone-property-project", b"of%20before"), ("project:of before",)),
        (
            (
                b"cf-aig-metadata",
                b'{"project": "caf\xc3\xa9", "user": 12345, "test": true, "none": null, "in": {"a": 1}}',
            ),
            ("project:café", "user:12345", "test:true"),
        ),
        ((b"x-portkey-metadata", b'{"_user": "u\\u0000-1", "": "x", "empty": ""}'), ("_user:u-1",)),
        ((b"x-portkey-metadata", b'{"long": "' + b"y" * 300 + b'"}'), ("long:" + "y" * 256,)),
        (
            (b"cf-aig-metadata", msgspec.json.encode({str(number): number for number in range(20)})),
            tuple(f"{number}:{number}" for number in range(16)),
        ),
        ((b"x-portkey-metadata", b'{"project": "cut'), ()),
        ((b"x-portkey-metadata", b'{"surrogate": "\\ud800"}'), ()),
        ((b"x-portkey-metadata", b'{"latin": "caf\xe9"}'), ()),
        ((b"x-portkey-metadata", b'{"deep": ' + b"[" * 60_000), ()),
        ((b"x-portkey-metadata", b"_user=u-1"), ()),
        ((b"x-portkey-api-key", b"pk"), ()),
        ((b"ai-cost-", b"nameless"), ()),
    ],
)
async def test_the_tag_headers_of_other_gateways_are_read_and_never_refused(
    header: tuple[bytes, bytes], expected: tuple[str, ...]
) -> None:
    principal = Principal(virtual_key(), None)
    assert tags_of(sent((b"accept", b"*/*"), header), principal, envelope()) == expected


def test_the_program_is_told_with_its_version() -> None:
    agent = b"claude-cli/2.1.329 (external, sdk-cli)"
    assert client_of({b"user-agent": agent}) == "claude-cli/2.1.329"
    assert client_of({}) is None
    assert client_of({b"user-agent": b""}) is None


async def test_a_call_names_a_hundred_tags_beside_those_of_its_key_and_no_more() -> None:
    of_key = tuple(f"k{number}" for number in range(150))
    principal = Principal(virtual_key(tags=of_key))

    def named(count: int) -> tuple[str, ...]:
        body = msgspec.structs.replace(envelope(), tags=tuple(f"t{number}" for number in range(count)))
        return tags_of(sent((b"x-litellm-tags", b"k0")), principal, body)

    assert len(named(0)) == 150
    assert len(named(10)) == 160
    with pytest.raises(InvalidRequest, match="names 101 tags; name 100 at the most"):
        named(101)
