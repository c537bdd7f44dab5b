"""What the body of a provider's refusal says beyond its status: the words of each, in one place.

Context window: Anthropic's "prompt is too long" and "exceed context limit" (docs.anthropic.com/en/api/errors), OpenAI's
``context_length_exceeded`` and "maximum context length", Gemini's "exceeds the maximum number of tokens", Bedrock's
"Input is too long". Content policy: OpenAI's and Azure's ``content_filter`` and ``content_policy_violation``,
Anthropic's "content filtering policy". No such model: ``model_not_found``, "model: NAME" of Anthropic.
"""

import re

from app.domain.failures import Reason
from app.protocols.billing_refusals import billing_refusal

_LOOKED_AT_BYTES = 8192
_context_window = re.compile(
    rb"(?i)context_length_exceeded|prompt is too long|context (?:limit|window|length)|too many (?:input )?tokens"
    rb"|exceeds the maximum number of tokens|input is too long"
).search
_content_policy = re.compile(
    rb"(?i)content_policy_violation|content_filter|content filtering policy|responsibleaipolicyviolation"
    rb"|blocked by (?:the )?content (?:filter|policy)"
).search
_no_model = re.compile(
    rb'(?i)model_not_found|"message"\s*:\s*"model: |deploymentnotfound|model .{0,200}(?:not|n\'t)'
).search


def reason_of(status: int, body: bytes) -> Reason | None:
    """None where the status alone says what there is to say."""
    if not 400 <= status < 500:
        return None
    if billing_refusal(status, body) is not None:
        return "out_of_credit"
    start = body[:_LOOKED_AT_BYTES]
    if status == 404:
        return "no_model" if _no_model(start) else None
    if status in {400, 413, 422}:
        if _context_window(start):
            return "context_window"
        if _content_policy(start):
            return "content_policy"
    return None
