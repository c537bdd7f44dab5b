"""Text completions, the API of Claude 2 and before: the same host, headers and errors; a prompt, and no usage.

Source: the public API reference, Create a Text Completion (legacy). The answer counts nothing, so what passes is
measured: ``completion`` of the whole answer, or of each event of a stream, whose last one has a ``stop_reason``.
"""

from typing import Any

import msgspec
from msgspec.structs import replace

from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.anthropic_messages.usage import MessagesScanner
from app.protocols.codec import Envelope, PathFacts, UsageReport
from app.protocols.envelope import read_count
from app.protocols.scanning import UNREADABLE, as_word, text_bytes
from app.protocols.sse import data_of

NAME = "anthropic_text_completions"


class _Completion(msgspec.Struct, gc=False):
    type: str = ""
    completion: Any = None
    stop_reason: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Completion).decode


class TextCompletions(AnthropicMessages):
    """A Messages codec but for the body; it is spoken to hosts of Messages and never translated."""

    def read_envelope(self, body: bytes, path: PathFacts | None = None) -> Envelope:
        envelope = super().read_envelope(body, path)
        return replace(envelope, max_output_tokens=read_count(envelope.fields, "max_tokens_to_sample"))

    def scan_response(self, body: bytes) -> UsageReport:
        try:
            answer = _decode(body)
        except UNREADABLE:
            return UsageReport(usage=None, final=False, output_bytes=0)
        said = text_bytes(answer.completion)
        return UsageReport(usage=None, final=False, output_bytes=said, finish_reason=as_word(answer.stop_reason))

    def stream_scanner(self, *, withhold_usage: bool) -> MessagesScanner:
        del withhold_usage
        return _CompletionScanner()


class _CompletionScanner(MessagesScanner):
    def _see(self, frame: bytes) -> bool:
        try:
            event = _decode(data_of(frame))
        except UNREADABLE:
            return True
        if event.type == "completion":
            self._output_bytes += text_bytes(event.completion)
            self._finish_reason = as_word(event.stop_reason)
            self.ended = self._finish_reason is not None
        elif event.type == "error" or (not event.type and event.error is not None):
            self.failed = True
        return True
