"""What a failed attempt means: who is to blame, and where the call may go next. One table says it of every kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["same", "elsewhere", "give_up"]
Blame = Literal["nobody", "deployment", "limit", "credential"]
FailureKind = Literal[
    "unreachable",
    "timeout",
    "broken",
    "unreadable",
    "overloaded",
    "server_error",
    "rate_limited",
    "out_of_credit",
    "credential_refused",
    "forbidden",
    "not_served",
    "not_found",
    "context_window",
    "content_policy",
    "refused",
]
Reason = Literal["out_of_credit", "context_window", "content_policy", "no_model"]
"""What the body of a refusal says beyond its status (app.protocols.refusal_reasons)."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """``same``: the same deployment may well answer when asked again; ``elsewhere``: only another one may; ``give_up``:
    every one of this model would say the same. ``worth`` is how much the refusal tells the caller: of several the one
    that is worth most is passed on."""

    verdict: Verdict
    blame: Blame
    worth: int


MEANINGS: dict[FailureKind, Meaning] = {
    "unreachable": Meaning("same", "deployment", 1),
    "timeout": Meaning("same", "deployment", 1),
    "broken": Meaning("same", "deployment", 1),
    "unreadable": Meaning("elsewhere", "deployment", 1),
    "overloaded": Meaning("same", "deployment", 3),
    "server_error": Meaning("same", "deployment", 2),
    "rate_limited": Meaning("same", "limit", 4),
    "out_of_credit": Meaning("elsewhere", "credential", 1),
    "credential_refused": Meaning("elsewhere", "credential", 0),
    "forbidden": Meaning("elsewhere", "deployment", 0),
    "not_served": Meaning("elsewhere", "deployment", 1),
    # What is not found may be the caller's: a file, an earlier answer. So nobody is put aside for it.
    "not_found": Meaning("elsewhere", "nobody", 2),
    "context_window": Meaning("give_up", "nobody", 5),
    "content_policy": Meaning("give_up", "nobody", 5),
    "refused": Meaning("give_up", "nobody", 6),
}

_BY_STATUS: dict[int, FailureKind] = {
    401: "credential_refused",
    402: "out_of_credit",
    403: "forbidden",
    404: "not_found",
    408: "timeout",
    425: "server_error",
    429: "rate_limited",
    503: "overloaded",
    529: "overloaded",
}
_BY_REASON: dict[Reason, FailureKind] = {
    "out_of_credit": "out_of_credit",
    "context_window": "context_window",
    "content_policy": "content_policy",
    "no_model": "not_served",
}


ERROR_NAMES: dict[FailureKind, tuple[str, ...]] = {
    "unreachable": ("BadGatewayError", "InternalServerError"),
    "timeout": ("TimeoutError",),
    "broken": ("BadGatewayError", "InternalServerError"),
    "unreadable": ("BadGatewayError", "InternalServerError"),
    "overloaded": ("ServiceUnavailableError", "InternalServerError"),
    "server_error": ("InternalServerError",),
    "rate_limited": ("RateLimitError",),
    "out_of_credit": ("AuthenticationError",),
    "credential_refused": ("AuthenticationError",),
    "forbidden": ("AuthenticationError",),
    "not_served": ("NotFoundError",),
    "not_found": ("NotFoundError",),
    "context_window": ("BadRequestError",),
    "content_policy": ("ContentPolicyViolationError", "BadRequestError"),
    "refused": ("BadRequestError",),
}
"""What LiteLLM's policies call each kind, the narrowest name first."""


def by_error_name(policy: Mapping[str, int], kind: FailureKind) -> int | None:
    """What a policy by LiteLLM's names of errors says of a kind."""
    return next((policy[name] for name in ERROR_NAMES[kind] if name in policy), None)


@dataclass(frozen=True, slots=True)
class Failure:
    """One attempt that came to nothing. ``retry_after_s`` is what the host asked for, None where it did not."""

    kind: FailureKind
    retry_after_s: int | None = None

    @property
    def meaning(self) -> Meaning:
        return MEANINGS[self.kind]


def kind_of(status: int, reason: Reason | None) -> FailureKind:
    """Of a refusal, by what its body says, else by its status."""
    if reason is not None:
        return _BY_REASON[reason]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return "server_error" if status >= 500 else "refused"
