"""Embeddings and images on their way to one deployment and back: OpenAI's shape for every client."""

from collections.abc import Callable, Mapping

from app.base.errors import GatewayError, InvalidRequest
from app.domain.catalog import Deployment
from app.gateway.answer_check import check_answer
from app.gateway.call import Call, Exchange, Outbound, Whole
from app.gateway.estimate import input_tokens
from app.protocols import embeddings, images
from app.protocols.codec import Codec, Envelope, Header, StreamScanner, UsageReport
from app.protocols.losses import Loss
from app.protocols.translation import report_of_usage
from app.providers.host_table import HOSTS
from app.providers.hosts import SideSpeech, filled
from app.providers.provider import UpstreamReply

_JSON = b"application/json"
_HEADERS: tuple[Header, ...] = ((b"content-type", _JSON), (b"accept", _JSON))
_TOKENS_OF_AN_IMAGE = 8192
"""Held for each: a large one of high quality comes to some 6 200 tokens at OpenAI."""
_ERRORS = {"ollama": "ollama", "gemini": "gemini"}
"""Whose words a host of another shape refuses in; else OpenAI's, as Cohere's and OpenRouter's are read by them."""


class OneShot:
    """An Exchange without streams. ``codec`` reads the refusals of a host of another shape."""

    stream_type: bytes | None = None

    def __init__(
        self,
        deployment: Deployment,
        outbound: Outbound,
        codec: Codec,
        read: Callable[[bytes], Whole],
        losses: tuple[Loss, ...] = (),
        max_output_tokens: int | None = None,
    ) -> None:
        self.max_output_tokens = max_output_tokens
        self.protocol_out = codec.name
        self.losses = losses
        self._provider = deployment.provider
        self._outbound = outbound
        self._codec = codec
        self._read = read

    def outbound(self) -> Outbound:
        return self._outbound

    def stream_scanner(self) -> StreamScanner:
        """A stream that nobody asked for: passed on, and counted as OpenAI counts."""
        return self._codec.stream_scanner(withhold_usage=False)

    def read_whole(self, body: bytes) -> Whole:
        return self._read(body)

    def read_refusal(self, reply: UpstreamReply, body: bytes) -> GatewayError | None:
        if self._outbound.forwards_headers and body.lstrip()[:1] == b"{":
            return None
        return self._codec.parse_error(reply.status, body, self._provider)


def embed(call: Call, envelope: Envelope, deployment: Deployment, codecs: Mapping[str, Codec]) -> Exchange:
    """Raises InvalidRequest where the host has no embeddings, or what is asked cannot be said to it."""
    speech = _speech(HOSTS[deployment.provider].embeddings, deployment, "embeddings")
    if speech.shape == "openai":
        body = embeddings.rewrite(envelope, deployment.upstream_model)
        outbound = _outbound(call, speech, deployment, body)
        return OneShot(deployment, outbound, call.codec, _reader(call, deployment, embeddings.scan_response))
    asked = embeddings.parse_request(envelope)
    shape = embeddings.SHAPES[speech.shape]
    rendered = shape.render(asked, deployment.upstream_model)

    def read(answer: bytes) -> Whole:
        found = shape.parse(answer, asked, deployment.provider)
        body = embeddings.render_response(found, asked, input_tokens(call.body))
        return Whole(body, report_of_usage(found.usage), _JSON)

    outbound = _outbound(call, speech, deployment, rendered.body, translated=True)
    return OneShot(deployment, outbound, _errors(speech, codecs), read, rendered.losses)


def draw(call: Call, envelope: Envelope, deployment: Deployment, codecs: Mapping[str, Codec]) -> Exchange:
    """Raises InvalidRequest where the host draws no images."""
    speech = _speech(HOSTS[deployment.provider].images, deployment, "images")
    most = _TOKENS_OF_AN_IMAGE * images.count_of_pictures(envelope)
    if speech.shape == "openai":
        body = images.rewrite(envelope, deployment.upstream_model)
        outbound = _outbound(call, speech, deployment, body)
        return OneShot(
            deployment,
            outbound,
            call.codec,
            _reader(call, deployment, images.scan_response),
            max_output_tokens=most,
        )
    asked = images.parse_request(envelope)
    rendered = images.render_openrouter(asked, deployment.upstream_model)

    def read(answer: bytes) -> Whole:
        found = images.parse_openrouter(answer, deployment.provider)
        body = images.render_response(found, int(call.started_at.timestamp()))
        return Whole(body, report_of_usage(found.usage, found.cost), _JSON)

    outbound = _outbound(call, speech, deployment, rendered.body, translated=True)
    return OneShot(deployment, outbound, _errors(speech, codecs), read, rendered.losses, most)


def _reader(call: Call, deployment: Deployment, scan: Callable[[bytes], UsageReport]) -> Callable[[bytes], Whole]:
    """Of answers in OpenAI's shape, which go to the client as they are."""

    def read(answer: bytes) -> Whole:
        report = scan(answer)
        if report.usage is None:
            check_answer(answer, call.codec, deployment.provider)
        return Whole(answer, report)

    return read


def _speech(speech: SideSpeech | None, deployment: Deployment, what: str) -> SideSpeech:
    if speech is None:
        able = [host.name for host in HOSTS.values() if getattr(host, what) is not None]
        raise InvalidRequest(
            f'provider "{deployment.provider}" of this model has no {what}; use a model of one of: {", ".join(able)}',
            param="model",
        )
    return speech


def _outbound(
    call: Call, speech: SideSpeech, deployment: Deployment, body: bytes, *, translated: bool = False
) -> Outbound:
    return Outbound(
        path=filled(speech.path, deployment.upstream_model, deployment.options),
        version_path=speech.version_path,
        body=body,
        headers=_HEADERS if translated else (),
        forwards_headers=not translated,
        query=b"" if translated else call.query,
    )


def _errors(speech: SideSpeech, codecs: Mapping[str, Codec]) -> Codec:
    return codecs[_ERRORS.get(speech.shape, "openai_chat")]
