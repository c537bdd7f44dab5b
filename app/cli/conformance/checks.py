"""What a check is, and how one is run: passed, failed with what was seen, or skipped with a reason."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from app.cli.conformance.talk import Heard, Line, NoAnswer
from app.cli.conformance.witness import Witness

VERSION = ("anthropic-version", "2023-06-01")
MESSAGES = "/v1/messages?beta=true"
Level = Literal["must", "should"]
Outcome = Literal["passed", "failed", "skipped"]


class Failure(Exception):
    """What was seen instead of what is needed."""


class NotTried(Exception):
    """Why a check says nothing here."""


@dataclass(frozen=True, slots=True)
class Setting:
    """``model`` is one that the key may use; with a witness it is one that the gateway sends there."""

    line: Line
    model: str
    witness: Witness | None = None

    @property
    def watched(self) -> Witness:
        """Raises NotTried where there is none."""
        if self.witness is None:
            raise NotTried("needs --witness: the gateway's provider, watched")
        return self.witness

    def message(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
        return {
            "model": self.model,
            "max_tokens": 16,
            "messages": [{"role": "user", "content": "Say hi."}],
            **changes,
        }

    def post(self, body: object, *headers: tuple[str, str], path: str = MESSAGES, bearer: bool = True) -> Heard:
        return self.line.ask("POST", path, body, (VERSION, *headers), bearer=bearer)


@dataclass(frozen=True, slots=True)
class Check:
    """``number`` is that of the contract in docs/conformance.md."""

    number: str
    title: str
    level: Level
    run: Callable[[Setting], str | None]


@dataclass(frozen=True, slots=True)
class Result:
    check: Check
    outcome: Outcome
    said: str


def run(check: Check, setting: Setting) -> Result:
    if setting.witness is not None:
        setting.witness.forget()
    try:
        return Result(check, "passed", check.run(setting) or "")
    except NotTried as reason:
        return Result(check, "skipped", str(reason))
    except (Failure, NoAnswer) as seen:
        return Result(check, "failed", str(seen))


def expect(condition: object, seen: str) -> None:
    if not condition:
        raise Failure(seen)


def error_of(heard: Heard) -> dict[str, Any]:
    """The error in Anthropic's shape. Raises Failure for any other."""
    value = heard.value
    error = value.get("error") if isinstance(value, dict) else None
    fits = isinstance(error, dict) and value.get("type") == "error" and {"type", "message"} <= error.keys()
    if not fits or not isinstance(error, dict):
        raise Failure(f"no error in Anthropic's shape: {heard.brief}")
    return error
