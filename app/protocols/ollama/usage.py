"""Usage of Ollama's answers, whole and in lines.

Source: the public API reference, "Generate a chat completion" and "Generate a completion". The prompt's count is
left out when all of the prompt was cached; Ollama charges for nothing, so that counts as zero.
"""

import msgspec

from app.domain.usage import Usage
from app.protocols.codec import UsageReport
from app.protocols.ollama.lines import LineSplitter
from app.protocols.ollama.wire import Answer, decode_answer
from app.protocols.raw_json import is_null
from app.protocols.scanning import UNREADABLE, FrameScanner, as_word, count_of, text_bytes


class _Rest(msgspec.Struct, gc=False):
    """What still matters of an answer that is not of the expected shape."""

    done: object = None
    done_reason: object = None
    prompt_eval_count: object = None
    eval_count: object = None
    error: object = None


_decode_rest = msgspec.json.Decoder(_Rest).decode


def usage_of(answer: Answer) -> Usage | None:
    counts = {"prompt": answer.prompt_eval_count, "output": answer.eval_count}
    prompt, output = count_of(counts, "prompt"), count_of(counts, "output")
    if prompt is None and output is None:
        return None
    return Usage(input=prompt or 0, output=output or 0)


def scan_response(body: bytes) -> UsageReport:
    """Usage of a whole answer; an unreadable one reports nothing."""
    answer = read_answer(body)
    if answer is None:
        return UsageReport(usage=None, final=False, output_bytes=0)
    usage = usage_of(answer)
    return UsageReport(
        usage=usage,
        final=usage is not None,
        output_bytes=_spoken_bytes(answer),
        finish_reason=as_word(answer.done_reason),
    )


class OllamaScanner(FrameScanner):
    """Watches the lines of one answer."""

    def __init__(self) -> None:
        super().__init__(splitter=LineSplitter())

    def _see(self, frame: bytes) -> bool:
        answer = read_answer(frame)
        if answer is None:
            return True
        self._output_bytes += _spoken_bytes(answer)
        if answer.error is not None:
            self.failed = True
        if answer.done:
            self.ended = True
            self._usage = usage_of(answer)
            self._counted_all = self._usage is not None
            self._finish_reason = as_word(answer.done_reason)
        return True


def read_answer(data: bytes) -> Answer | None:
    """An answer, or what can be read of it; None for what is no JSON object."""
    try:
        return decode_answer(data)
    except msgspec.ValidationError:
        pass
    except UNREADABLE:
        return None
    try:
        rest = _decode_rest(data)
    except UNREADABLE:
        return None
    return Answer(
        done=rest.done is True,
        done_reason=rest.done_reason,
        prompt_eval_count=rest.prompt_eval_count,
        eval_count=rest.eval_count,
        error=rest.error,
    )


def _spoken_bytes(answer: Answer) -> int:
    total = 0
    if answer.response or answer.thinking:
        total += text_bytes(answer.response) + text_bytes(answer.thinking)
    message = answer.message
    if message is None:
        return total
    total += text_bytes(message.content)
    if message.thinking:
        total += text_bytes(message.thinking)
    for call in message.tool_calls or ():
        if call.function is not None and not is_null(call.function.arguments):
            total += len(bytes(call.function.arguments))
    return total
