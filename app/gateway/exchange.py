"""How one call is said to one deployment, and the answer to the client: the same bytes, or translated."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from app.base.errors import GatewayError, InvalidRequest, UpstreamRejected, UpstreamUnreadable
from app.domain.catalog import Deployment
from app.gateway import sides
from app.gateway.answer_check import check_answer, no_answer
from app.gateway.call import Call, Exchange, Outbound, Whole
from app.protocols import embeddings, images
from app.protocols.codec import Asked, Codec, Envelope, Header, Rendered, StreamScanner
from app.protocols.events import GenerationFailed, Incomplete, fold
from app.protocols.losses import Loss
from app.protocols.translation import Translation, as_stream, report_of
from app.providers.host_table import HOSTS
from app.providers.hosts import Speech, filled, generation_path
from app.providers.provider import UpstreamReply

_STREAM_TYPES = (b"text/event-stream", b"application/x-ndjson", b"application/vnd.amazon.eventstream")


class Verbatim:
    """Both sides speak one protocol: bytes out, bytes back, and the usage read beside."""

    losses: tuple[Loss, ...] = ()
    stream_type: bytes | None = None
    max_output_tokens: int | None = None

    def __init__(self, call: Call, envelope: Envelope | None, deployment: Deployment, speech: Speech | None) -> None:
        self._call = call
        self._provider = deployment.provider
        self._withhold_usage = False
        self._asks_stream = envelope is not None and envelope.stream
        self.protocol_out = call.codec.name
        body = call.body
        headers: tuple[Header, ...] = ()
        if speech is not None and envelope is not None:
            outgoing = call.codec.rewrite(envelope, deployment.upstream_model, speech.dialect, call.headers)
            body, headers, self._withhold_usage = outgoing.body, outgoing.headers, outgoing.withhold_usage
            version_path = speech.version_path
        else:
            version_path = HOSTS[deployment.provider].speaks[0].version_path
        path = call.upstream_path
        if path is None:
            assert speech is not None
            path = _speech_path(call, speech, deployment, stream=self._asks_stream)
        self._outbound = Outbound(path, version_path, body, headers, query=call.query)

    def outbound(self) -> Outbound:
        return self._outbound

    def stream_scanner(self) -> StreamScanner:
        return self._call.codec.stream_scanner(withhold_usage=self._withhold_usage)

    def read_whole(self, body: bytes) -> Whole:
        report = self._call.codec.scan_response(body)
        if report.usage is None and self._call.operation == "generate":
            check_answer(body, self._call.codec, self._provider, stream=self._asks_stream)
        if report.usage is None and self._asks_stream:
            # A stream under a wrong content type is passed on as it is, and counted all the same.
            scanner = self.stream_scanner()
            passed = scanner.feed(body) + scanner.flush()
            return Whole(passed or body, scanner.report())
        return Whole(body, report)

    def read_refusal(self, reply: UpstreamReply, body: bytes) -> GatewayError | None:
        """Clients act on the wording of a provider's errors. A page of HTML is none, and shows as raw text."""
        if body.lstrip()[:1] in {b"{", b"["}:
            return None
        return self._call.codec.parse_error(reply.status, body, self._provider)


class Translated:
    """The sides speak different protocols: parsed, said in the host's words, and the answer back in the client's."""

    def __init__(self, call: Call, envelope: Envelope, deployment: Deployment, speech: Speech, codec: Codec) -> None:
        """Raises InvalidRequest for what cannot be read, or cannot be said in the host's protocol."""
        conversation = call.codec.parse_request(envelope, call.headers)
        conversation = msgspec.structs.replace(conversation, model=deployment.upstream_model)
        dialect = speech.dialect.for_model(native_tools=deployment.native_tools)
        rendered: Rendered = codec.render_request(conversation, dialect)
        self._codec = codec
        self._client = call.codec
        self._provider = deployment.provider
        self._reading = rendered.reading
        self._asked = Asked(
            envelope=envelope,
            model=envelope.model,
            request_id=call.request_id,
            created_unix=int(call.started_at.timestamp()),
        )
        self.protocol_out = codec.name
        self.losses = rendered.losses
        self.max_output_tokens = rendered.max_output_tokens
        self.stream_type: bytes | None = call.codec.stream_type
        path = generation_path(speech, deployment.upstream_model, deployment.options, stream=envelope.stream)
        accept = codec.stream_type.partition(b";")[0] if envelope.stream else b"application/json"
        headers = ((b"content-type", b"application/json"), (b"accept", accept), *rendered.headers)
        self._outbound = Outbound(path, speech.version_path, rendered.body, headers, forwards_headers=False)

    def outbound(self) -> Outbound:
        return self._outbound

    def stream_scanner(self) -> StreamScanner:
        return Translation(self._codec.stream_parser(self._reading), self._client.stream_renderer(self._asked))

    def read_whole(self, body: bytes) -> Whole:
        try:
            generation = self._codec.parse_response(body, self._reading)
        except UpstreamUnreadable:
            # Some hosts stream though they were not asked to, or under the content type of a whole answer.
            parser = self._codec.stream_parser(self._reading)
            try:
                generation = fold([*parser.feed(body), *parser.end()])
            except Incomplete as error:
                raise no_answer(body, self._provider) from error
            except GenerationFailed as error:
                failed = error.failed
                raise UpstreamRejected(failed.message, provider=self._provider, status=failed.status) from error
        report = report_of(generation)
        if self._asked.envelope.stream:
            return Whole(as_stream(generation, self._client.stream_renderer(self._asked)), report, self.stream_type)
        return Whole(self._client.render_response(generation, self._asked), report, b"application/json")

    def read_refusal(self, reply: UpstreamReply, body: bytes) -> GatewayError | None:
        error = self._codec.parse_error(reply.status, body, self._provider)
        error.headers += [
            (name.lower(), value)
            for name, value in reply.headers
            if name.lower() in {b"retry-after", b"x-should-retry"}
        ]
        return error


class Exchanges:
    """Chooses between them, in one place."""

    def __init__(self, codecs: Mapping[str, Codec]) -> None:
        self._codecs = codecs

    def read_envelope(self, call: Call) -> Envelope:
        """Raises InvalidRequest."""
        match call.operation:
            case "embeddings":
                return embeddings.read_envelope(call.body)
            case "images":
                return images.read_envelope(call.body)
            case _:
                return call.codec.read_envelope(call.body, call.path_facts)

    def choose(self, call: Call, envelope: Envelope, deployment: Deployment) -> Exchange | None:
        """None for a count of tokens that the host cannot give. Raises InvalidRequest."""
        if call.operation == "embeddings":
            return sides.embed(call, envelope, deployment, self._codecs)
        if call.operation == "images":
            return sides.draw(call, envelope, deployment, self._codecs)
        speech = _choose_speech(
            deployment.provider,
            call.codec.name,
            deployment.upstream_model,
            deployment.api_base,
            deployment.preferred_protocol,
        )
        if speech is None:
            raise InvalidRequest(
                f'provider "{deployment.provider}" does not serve the model "{deployment.upstream_model}" in a '
                "protocol that is known here; ask an admin to correct litellm_params.model",
                param="model",
            )
        same = speech.protocol == call.codec.name
        if call.operation == "count_tokens" and (not same or speech.count_path is None):
            return None
        if same:
            return Verbatim(call, envelope, deployment, speech)
        if call.native_only:
            raise InvalidRequest(
                f'{call.route} passes the bytes on untranslated, and model "{envelope.model}" of provider '
                f'"{deployment.provider}" does not speak this protocol; call it on /v1/messages',
                param="model",
            )
        return Translated(call, envelope, deployment, speech, self._codecs[speech.protocol])


@lru_cache(maxsize=4096)
def _choose_speech(
    provider: str, wanted: str, upstream_model: str, api_base: str, preferred: str | None
) -> Speech | None:
    """Remembered: the answer for one deployment and protocol never changes."""
    return HOSTS[provider].choose_speech(wanted, upstream_model, api_base, preferred)


def is_stream(reply: UpstreamReply) -> bool:
    for name, value in reply.headers:
        if name.lower() == b"content-type" and value.lower().startswith(_STREAM_TYPES):
            return True
    return False


def _speech_path(call: Call, speech: Speech, deployment: Deployment, *, stream: bool) -> str:
    if call.operation == "count_tokens" and speech.count_path is not None:
        return filled(speech.count_path, deployment.upstream_model, deployment.options)
    return generation_path(speech, deployment.upstream_model, deployment.options, stream=stream)


def losses_header(losses: Sequence[Loss]) -> bytes:
    """``dropped top_k, approximated messages.2``: at most about a kilobyte, so that every client takes it."""
    parts = [f"{loss.severity} {loss.field[:60]}" for loss in losses[:40]]
    if len(losses) > len(parts):
        parts.append(f"and {len(losses) - len(parts)} more")
    said = ", ".join(parts)
    if not said.isprintable():  # a field is as its caller wrote it: line breaks too, which no header can hold
        said = "".join(sign if sign.isprintable() else "?" for sign in said)
    return said.encode("ascii", "replace")
