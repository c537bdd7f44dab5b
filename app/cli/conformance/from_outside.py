"""Checks that need no more than a key: what a client sees of any gateway. They cost a few tokens of the model."""

from app.cli.conformance.checks import MESSAGES, VERSION, Check, Failure, NotTried, Setting, error_of, expect
from app.cli.conformance.talk import Heard

_ORDER = ("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta")
_PROMPT_OF_A_CODER = (
    "<system-reminder>rm -rf /; DROP TABLE users; -- <script>alert(1)</script> ../../etc/passwd ${jndi:ldap://x} "
    "' OR '1'='1 {{7*7}} <?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]></system-reminder>"
)


def _messages(setting: Setting) -> str:
    heard = setting.post(setting.message())
    _is_message(heard)
    return "answered on the path, whatever the query"


def _is_message(heard: Heard) -> None:
    value = heard.value
    expect(heard.status == 200, f"a message is answered with {heard.brief}")
    expect(isinstance(value, dict) and value.get("type") == "message", f"no message: {heard.brief}")
    expect(isinstance(value.get("usage", {}).get("input_tokens"), int), "the message has no usage")


def _count_tokens(setting: Setting) -> str:
    body = {"model": setting.model, "messages": [{"role": "user", "content": "Say hi."}]}
    heard = setting.post(body, path="/v1/messages/count_tokens?beta=true")
    expect(heard.status == 200, f"answered with {heard.brief}; the client then guesses")
    expect(isinstance(heard.value.get("input_tokens"), int), f"no input_tokens: {heard.brief}")
    return f"{heard.value['input_tokens']} tokens"


def _discovery(setting: Setting) -> str:
    heard = setting.line.ask("GET", "/v1/models?limit=1000", headers=(VERSION,))
    expect(heard.status == 200, f"answered with {heard.brief}; the picker stays as it was")
    value = heard.value
    expect(isinstance(value, dict) and isinstance(value.get("data"), list), f"no list: {heard.brief}")
    entries = value["data"]
    broken = [entry for entry in entries if not isinstance(entry, dict) or not isinstance(entry.get("id"), str)]
    expect(not broken, f"entries without an id: {broken[:2]}")
    null = [entry["id"] for entry in entries if "display_name" in entry and not isinstance(entry["display_name"], str)]
    expect(not null, f"display_name is no text, which voids the whole list: {', '.join(null[:3])}")
    named = [entry for entry in entries if entry.get("display_name")]
    shown = [entry for entry in entries if entry["id"].lower().startswith(("claude", "anthropic"))]
    expect(named or not entries, "no display_name anywhere: the picker shows bare ids (OpenAI's shape?)")
    return f"{len(entries)} models, {len(shown)} of them to be seen in the picker"


def _warming(setting: Setting) -> str:
    heard = setting.line.ask("HEAD", "/api/hello", bearer=False)
    expect(heard.status < 500, f"answered with {heard.status}")
    return str(heard.status)


def _redirects(setting: Setting) -> str:
    for method, path, body in (
        ("POST", MESSAGES, setting.message()),
        ("POST", "/v1/messages/count_tokens", setting.message()),
        ("GET", "/v1/models?limit=1000", None),
    ):
        heard = setting.line.ask(method, path, body, (VERSION,))
        expect(
            not 300 <= heard.status < 400, f"{method} {path} answers {heard.status} to {heard.headers.get('location')}"
        )
    return "none"


def _no_inspection(setting: Setting) -> str:
    heard = setting.post(setting.message(messages=[{"role": "user", "content": _PROMPT_OF_A_CODER}]))
    expect(heard.status == 200, f"code in a prompt is answered with {heard.brief}")
    return "code and markup in a prompt pass"


def _both_headers(setting: Setting) -> str:
    key = setting.line.key
    for given in (
        [("authorization", f"Bearer {key}")],
        [("x-api-key", key)],
        [("authorization", f"Bearer {key}"), ("x-api-key", key)],
    ):
        heard = setting.post(setting.message(), *given, bearer=False)
        expect(heard.status == 200, f"{' and '.join(name for name, _ in given)}: {heard.brief}")
    return "Authorization, x-api-key, and both"


def _differing_keys(setting: Setting) -> str:
    heard = setting.post(setting.message(), ("x-api-key", "sk-not-a-key-of-anybody"))
    expect(heard.status in {200, 401}, f"answered with {heard.brief}")
    return "the valid one wins" if heard.status == 200 else "refused"


def _wrong_key(setting: Setting) -> str:
    heard = setting.post(setting.message(), ("authorization", "Bearer sk-not-a-key-of-anybody"), bearer=False)
    expect(heard.status == 401, f"answered with {heard.brief}")
    error = error_of(heard)
    expect(error["type"] == "authentication_error", f'its type is "{error["type"]}"')
    expect(
        heard.headers.get("x-should-retry") == "false",
        "without x-should-retry: false it is asked eleven times in three minutes",
    )
    return str(error["message"])[:60]


def _missing_key(setting: Setting) -> str:
    heard = setting.post(setting.message(), bearer=False)
    if heard.status == 200:
        raise NotTried("the gateway asks for no key")
    expect(heard.status == 401, f"answered with {heard.brief}")
    error_of(heard)
    return "401"


def _stream(setting: Setting) -> str:
    heard = setting.post(setting.message(stream=True))
    expect(heard.status == 200, f"answered with {heard.brief}")
    kind = heard.headers.get("content-type", "")
    expect(kind.startswith("text/event-stream"), f'its content type is "{kind}"')
    expect(not heard.headers.get("content-encoding"), f"it is compressed ({heard.headers.get('content-encoding')})")
    names = [name for name, _ in heard.events if name != "ping"]
    first_seen = list(dict.fromkeys(names))
    expect(
        tuple(name for name in first_seen if name in _ORDER) == _ORDER, f"its events come as {', '.join(first_seen)}"
    )
    expect(all(isinstance(data, dict) and data.get("type") == name for name, data in heard.events),
           "an event's name and its type differ")  # fmt: skip
    return f"{len(names)} events"


def _stream_ends(setting: Setting) -> str:
    heard = setting.post(setting.message(stream=True))
    expect(heard.status == 200, f"answered with {heard.brief}")
    expect(heard.whole, "the connection is cut")
    names = [name for name, _ in heard.events]
    expect(names and names[-1] == "message_stop", f"its last event is {names[-1] if names else 'none'}")
    return "message_stop, then a clean end"


def _probe(setting: Setting) -> str:
    heard = setting.post({"model": setting.model, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]})
    _is_message(heard)
    return "one token is enough to ask for"


def _error_shapes(setting: Setting) -> str:
    wrong = {
        "bad JSON": setting.post(b'{"model": '),
        "no model": setting.post({"max_tokens": 1, "messages": []}),
        "GET": setting.line.ask("GET", "/v1/messages", headers=(VERSION,)),
        "an unknown path": setting.line.ask("POST", "/v1/messages/nothing", setting.message(), (VERSION,)),
    }
    for name, heard in wrong.items():
        expect(400 <= heard.status < 500, f"{name} is answered with {heard.brief}")
        try:
            error_of(heard)
        except Failure as seen:
            raise Failure(f"{name}: {seen}") from seen
    return f"{len(wrong)} mistakes, each told in Anthropic's shape"


def _unknown_model(setting: Setting) -> str:
    name = "no-such-model-anywhere"
    heard = setting.post(setting.message(model=name))
    expect(heard.status in {400, 403, 404}, f"answered with {heard.brief}")
    expect(name in str(error_of(heard)["message"]), f"the message does not name it: {heard.brief}")
    return f"{heard.status}, by name"


def _request_id(setting: Setting) -> str:
    good, bad = setting.post(setting.message()), setting.post(setting.message(model="no-such-model-anywhere"))
    expect(good.headers.get("request-id"), "no request-id on an answer")
    expect(bad.headers.get("request-id") or (bad.value or {}).get("request_id"), "no request id on an error")
    expect(good.headers.get("request-id") != bad.headers.get("request-id"), "two requests have the same id")
    return "on answers and errors"


CHECKS = (
    Check("C01", "POST /v1/messages?beta=true", "must", _messages),
    Check("C01b", "a probe of one token", "must", _probe),
    Check("C02", "count_tokens", "should", _count_tokens),
    Check("C03", "the model list of the picker", "should", _discovery),
    Check("C04", "HEAD /api/hello without a key", "should", _warming),
    Check("C06", "no redirects", "must", _redirects),
    Check("C07", "prompts with code pass", "must", _no_inspection),
    Check("C10", "the key in either header, or both", "must", _both_headers),
    Check("C11", "two different keys", "must", _differing_keys),
    Check("C12", "a wrong key", "must", _wrong_key),
    Check("C12b", "no key", "must", _missing_key),
    Check("C40", "a stream as server-sent events, in order", "must", _stream),
    Check("C42", "a stream ends with message_stop", "must", _stream_ends),
    Check("C52", "errors in Anthropic's shape", "must", _error_shapes),
    Check("C58", "an unknown model is named", "must", _unknown_model),
    Check("C59", "a request id on everything", "should", _request_id),
)
