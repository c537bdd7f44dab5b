"""A Gemini client's request: its envelope, and the whole of it as a Conversation."""

from app.base.errors import InvalidRequest
from app.protocols.codec import Envelope, PathFacts
from app.protocols.conversation import Conversation, JsonFormat, Reasoning, Sampling, Text
from app.protocols.envelope import LONGEST_MODEL_NAME, as_labels, read_fields
from app.protocols.gemini.parts_parse import parse_contents
from app.protocols.gemini.proto import (
    Members,
    as_members,
    camel,
    find,
    find_flag,
    find_members,
    find_number,
    find_text,
    find_texts,
    find_whole,
    first_byte,
)
from app.protocols.gemini.schemas import lowered
from app.protocols.gemini.tools_parse import parse_choice, parse_tools

CONFIG = "generationConfig"
_IN_CONFIG = f"{CONFIG}."
_MOST_CANDIDATES = 8
_UNDERSTOOD = frozenset({"contents", "systemInstruction", "tools", "toolConfig", CONFIG, "model"})
_UNDERSTOOD_CONFIG = frozenset(
    {
        "candidateCount", "maxOutputTokens", "temperature", "topP", "topK", "seed", "frequencyPenalty",
        "presencePenalty", "stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema",
        "_responseJsonSchema", "thinkingConfig",
    }
)  # fmt: skip
_EFFORTS: dict[str, Reasoning] = {
    "MINIMAL": Reasoning("minimal"),
    "LOW": Reasoning("low"),
    "MEDIUM": Reasoning("medium"),
    "HIGH": Reasoning("high"),
    "XHIGH": Reasoning("xhigh"),
}
_DYNAMIC = -1


def read_envelope(body: bytes, path: PathFacts | None) -> Envelope:
    fields = read_fields(body)
    model = "" if path is None else path.model
    if path is None or not model or len(model) > LONGEST_MODEL_NAME or not model.isprintable():
        raise InvalidRequest(
            f"the path must name a model of 1 to {LONGEST_MODEL_NAME} printable characters", param="model"
        )
    for name in _UNDERSTOOD:
        find(fields, name)
    config = find_members(fields, CONFIG)
    most = find_whole(config, "maxOutputTokens", _IN_CONFIG)
    candidates = find_whole(config, "candidateCount", _IN_CONFIG) or 1
    if candidates > _MOST_CANDIDATES:
        raise InvalidRequest(
            f'"{_IN_CONFIG}candidateCount" must be at most {_MOST_CANDIDATES}', param=f"{_IN_CONFIG}candidateCount"
        )
    return Envelope(
        body=body,
        fields=fields,
        model=model,
        stream=path.stream,
        max_output_tokens=None if most is None else most * candidates,
        customer=None,
        session_id=None,
        tags=_labels(fields),
    )


def parse_request(envelope: Envelope) -> Conversation:
    fields = envelope.fields
    contents = find(fields, "contents")
    if contents is None:
        raise InvalidRequest('"contents" is missing; send at least one content', param="contents")
    config = find_members(fields, CONFIG)
    if (find_whole(config, "candidateCount", _IN_CONFIG) or 1) > 1:
        raise InvalidRequest(
            "this model gives one candidate for a request; leave candidateCount out, or ask several times",
            param=f"{_IN_CONFIG}candidateCount",
        )
    choice, tools = parse_choice(fields, parse_tools(fields))
    return Conversation(
        model=envelope.model,
        turns=parse_contents(contents),
        instructions=_instructions(fields),
        tools=tools,
        tool_choice=choice,
        sampling=_sampling(config),
        max_output_tokens=find_whole(config, "maxOutputTokens", _IN_CONFIG),
        reasoning=_reasoning(config),
        output_format=_format(config),
        stream=envelope.stream,
        extras=_extras(fields, config),
    )


def _labels(fields: Members) -> tuple[str, ...]:
    """The labels of Vertex AI, each as "name:value"."""
    raw = find(fields, "labels")
    if raw is None or first_byte(raw) != b"{":
        return ()
    labels = as_members(raw, "labels")
    return as_labels(f"{name}:{find_text(labels, name, 'labels.')}" for name in labels)


def _instructions(fields: Members) -> tuple[Text, ...]:
    raw = find(fields, "systemInstruction")
    if raw is None:
        return ()
    if first_byte(raw) == b'"':
        text = find_text(fields, "systemInstruction")
        return (Text(text),) if text else ()
    blocks = [block for turn in parse_contents(raw, "systemInstruction") for block in turn.blocks]
    for block in blocks:
        if not isinstance(block, Text):
            raise InvalidRequest('"systemInstruction" must be text alone', param="systemInstruction")
    return tuple(block for block in blocks if isinstance(block, Text))


def _sampling(config: Members) -> Sampling:
    return Sampling(
        temperature=find_number(config, "temperature", _IN_CONFIG),
        top_p=find_number(config, "topP", _IN_CONFIG),
        top_k=find_whole(config, "topK", _IN_CONFIG),
        seed=find_whole(config, "seed", _IN_CONFIG, least=-(2**31)),
        frequency_penalty=find_number(config, "frequencyPenalty", _IN_CONFIG),
        presence_penalty=find_number(config, "presencePenalty", _IN_CONFIG),
        stop=find_texts(config, "stopSequences", _IN_CONFIG),
    )


def _reasoning(config: Members) -> Reasoning | None:
    path = f"{_IN_CONFIG}thinkingConfig."
    thinking = find_members(config, "thinkingConfig", _IN_CONFIG)
    shown = find_flag(thinking, "includeThoughts", path)
    level = (find_text(thinking, "thinkingLevel", path) or "").upper()
    budget = find_whole(thinking, "thinkingBudget", path, least=_DYNAMIC)
    if level in _EFFORTS:
        return Reasoning(_EFFORTS[level].effort, shown=shown)
    if budget == 0:
        return Reasoning("none", shown=shown)
    if budget is not None and budget != _DYNAMIC:
        return Reasoning(budget_tokens=budget, shown=shown)
    # Gemini thinks as it likes unless told otherwise: who wants to see thoughts wants that.
    return Reasoning(adaptive=True, shown=shown) if shown or budget == _DYNAMIC else None


def _format(config: Members) -> JsonFormat | None:
    kind = find_text(config, "responseMimeType", _IN_CONFIG) or ""
    schema = find(config, "responseSchema", _IN_CONFIG)
    json_schema = find(config, "responseJsonSchema", _IN_CONFIG)
    if json_schema is None:
        json_schema = config.get("_responseJsonSchema")  # as older SDKs write it
    if kind == "text/x.enum":
        raise InvalidRequest(
            'this model cannot answer in "text/x.enum"; ask for "application/json" with the same schema',
            param=f"{_IN_CONFIG}responseMimeType",
        )
    if json_schema is not None:
        as_members(json_schema, f"{_IN_CONFIG}responseJsonSchema")
        return JsonFormat(bytes(json_schema).decode())
    if schema is not None:
        return JsonFormat(lowered(schema, f"{_IN_CONFIG}responseSchema"))
    if kind == "application/json":
        return JsonFormat()
    if kind not in ("", "text/plain"):
        raise InvalidRequest(
            f'"{_IN_CONFIG}responseMimeType" must be "text/plain" or "application/json" for this model',
            param=f"{_IN_CONFIG}responseMimeType",
        )
    return None


def _extras(fields: Members, config: Members) -> dict[str, str]:
    extras = {
        camel(name): bytes(value).decode()
        for name, value in fields.items()
        if camel(name) not in _UNDERSTOOD and bytes(value) != b"null"
    }
    for name, value in config.items():
        known = name in _UNDERSTOOD_CONFIG or camel(name) in _UNDERSTOOD_CONFIG
        if not known and bytes(value) != b"null":
            extras[_IN_CONFIG + camel(name)] = bytes(value).decode()
    retrieval = find(find_members(fields, "toolConfig"), "retrievalConfig", "toolConfig.")
    if retrieval is not None:
        extras["toolConfig.retrievalConfig"] = bytes(retrieval).decode()
    return extras
