"""Usage of text completions, whole and streamed.

Source: the public API reference, ``CompletionUsage``, which chat completions have too.
"""

from app.protocols.codec import UsageReport
from app.protocols.openai_completions.wire import Completion, read_completion
from app.protocols.openai_usage import usage_of
from app.protocols.scanning import FrameScanner, as_word, text_bytes
from app.protocols.sse import data_of


def scan_response(body: bytes) -> UsageReport:
    """Usage of a whole answer; an unreadable one reports nothing."""
    completion = read_completion(body)
    if completion is None:
        return UsageReport(usage=None, final=False, output_bytes=0)
    usage = usage_of(completion.usage)
    reasons = (as_word(choice.finish_reason) for choice in completion.choices or ())
    return UsageReport(
        usage=usage,
        final=usage is not None,
        output_bytes=_spoken_bytes(completion),
        finish_reason=next((reason for reason in reasons if reason), None),
    )


class CompletionsScanner(FrameScanner):
    """Watches the chunks of one answer. Where asked to, withholds the one frame that carries usage and no choice."""

    @property
    def complete(self) -> bool:
        """Some hosts never send [DONE]: a finish reason at the end of a whole frame is an end as well."""
        return self.ended or self.failed or (self._finish_reason is not None and self._splitter.at_boundary)

    def _see(self, frame: bytes) -> bool:
        data = data_of(frame)
        completion = read_completion(data)
        if completion is None:
            if data.strip() == b"[DONE]":
                self.ended = True
                self._counted_all = self._usage is not None
            return True
        self._output_bytes += _spoken_bytes(completion)
        for choice in completion.choices or ():
            if choice.finish_reason is not None:
                self._finish_reason = as_word(choice.finish_reason)
        if completion.error is not None:
            self.failed = True
        usage = None if completion.usage is None else usage_of(completion.usage)
        if usage is None:
            return True
        self._usage = usage
        # Some hosts count along in each chunk: the last one counts, and only then is it all.
        self._counted_all = not completion.choices or self._finish_reason is not None
        return completion.choices != []


def _spoken_bytes(completion: Completion) -> int:
    return sum(text_bytes(choice.text) for choice in completion.choices or ())
