"""Canonical turns as the messages of a request, in the order that the Messages API insists on."""

from typing import Any

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.block_render import Wire, is_own, render_block
from app.protocols.anthropic_messages.draft import Draft
from app.protocols.conversation import Block, Role, Text, Thinking, ToolCall, ToolResult, Turn


class Transcript:
    """The messages and the system blocks of one request.

    Neighbouring turns of one role become one message. Results of tools stand first in theirs, and nothing may come
    between a call and its result; so system text waits until the user's turn is over. Where none has come, it joins
    the leading system text.
    """

    def __init__(self, draft: Draft) -> None:
        self.messages: list[dict[str, Any]] = []
        self.system: list[Wire] = []
        self._draft = draft
        self._waiting: list[tuple[str, list[Wire]]] = []
        self._results = 0
        """With so many results of tools the last message begins."""

    def take_instructions(self) -> None:
        draft = self._draft
        instructions, head = draft.conversation.instructions, draft.dialect.system_head
        if head is not None and (not instructions or instructions[0].text != head):
            self.system.append({"type": "text", "text": head})
        for number, block in enumerate(instructions):
            written = render_block(draft, block, f"system.{number}")
            if written is not None:
                self.system.append(written)

    def take_turns(self) -> None:
        for number, turn in enumerate(self._draft.conversation.turns):
            place = f"messages.{number}"
            if turn.role == "system":
                self._take_system(turn, place)
                continue
            first, then = self._render(turn, place)
            if not first and not then:
                continue
            if turn.role == "assistant":
                self._place_waiting()
            self._append(turn.role, first, then)
        self._place_waiting()
        self._trim_prefill()
        if not self.messages:
            raise InvalidRequest(
                "a model behind the Messages API needs a message from the user; add one", param="messages"
            )

    def _render(self, turn: Turn, place: str) -> tuple[list[Wire], list[Wire]]:
        """(results of tools, the rest)."""
        results: list[Wire] = []
        others: list[Wire] = []
        for number, block in enumerate(turn.blocks):
            written = render_block(self._draft, block, f"{place}.content.{number}")
            if written is not None:
                (results if isinstance(block, ToolResult) else others).append(written)
        return results, others

    def _append(self, role: Role, results: list[Wire], others: list[Wire]) -> None:
        if self.messages and self.messages[-1]["role"] == role:
            content = self.messages[-1]["content"]
            content[self._results : self._results] = results
            content += others
            self._results += len(results)
        else:
            self.messages.append({"role": role, "content": [*results, *others]})
            self._results = len(results)

    def _take_system(self, turn: Turn, place: str) -> None:
        blocks = [
            written
            for number, block in enumerate(turn.blocks)
            if (written := render_block(self._draft, block, f"{place}.content.{number}")) is not None
        ]
        if not blocks:
            return
        if self._draft.dialect.takes_system_turns and self._draft.traits.system_turns:
            self._waiting.append((place, blocks))
        else:
            self._hoist(place, blocks)

    def _place_waiting(self) -> None:
        after_user = bool(self.messages) and self.messages[-1]["role"] == "user"
        blocks = [block for _, waiting in self._waiting for block in waiting]
        if after_user and blocks:
            self.messages.append({"role": "system", "content": blocks})
        elif blocks:
            for place, waiting in self._waiting:
                self._hoist(place, waiting)
        self._waiting.clear()

    def _hoist(self, place: str, blocks: list[Wire]) -> None:
        self._draft.losses.approximate(place)
        self.system += blocks

    def _trim_prefill(self) -> None:
        """The API refuses a last assistant text that ends in white space."""
        if self.messages and self.messages[-1]["role"] == "assistant":
            last = self.messages[-1]["content"][-1]
            if isinstance(last, dict) and last["type"] == "text":
                last["text"] = last["text"].rstrip()


def lacks_thinking(draft: Draft) -> bool:
    """Whether the open tool loop does not begin with thinking of this host's own, or the answer is begun already:
    with ``budget_tokens`` the API refuses either."""
    last: list[Turn] = []
    for turn in reversed(draft.conversation.turns):
        if turn.role == "assistant":
            last.insert(0, turn)
        elif last:
            break
    blocks = [block for turn in last for block in turn.blocks if not _vanishes(draft, block)]
    if not blocks:
        return False
    begun = draft.conversation.turns[-1].role == "assistant"
    called = any(isinstance(block, ToolCall) for block in blocks)
    thought = isinstance(blocks[0], Thinking)
    return begun or (called and not thought)


def _vanishes(draft: Draft, block: Block) -> bool:
    if isinstance(block, Thinking):
        return not is_own(draft, block)
    return isinstance(block, Text) and not block.text.strip()
