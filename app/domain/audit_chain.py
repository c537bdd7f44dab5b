"""The chain of the audit: what a row's hash covers, and how an edit, a removal or a swap is told from it."""

import hashlib
from dataclasses import dataclass

import msgspec

GENESIS = bytes(32)
"""What stands for the hash before the first row."""


@dataclass(frozen=True, slots=True)
class Link:
    """One row of the chain. ``content`` is all that it says, each column as a text or None."""

    sequence: int
    audit_id: str
    content: tuple[str | None, ...]
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """``sequence`` is the place in the chain; ``audit_id`` is None where no row stands any more."""

    sequence: int
    audit_id: str | None
    reason: str


def link_hash(previous_hash: bytes, audit_id: str, content: tuple[str | None, ...]) -> bytes:
    """SHA-256 over the hash of the row before and all that this row says.

    Its place is not in it: a row that was moved is still itself, but no longer follows the one before.
    """
    return hashlib.sha256(previous_hash + msgspec.json.encode([audit_id, *content])).digest()


class ChainCheck:
    """Is fed the links in the order of their places, then told where the chain ends.

    It may begin within the chain: after a row whose place and hash are believed.
    """

    def __init__(self, after_sequence: int = 0, after_hash: bytes = GENESIS) -> None:
        self.faults: list[Fault] = []
        self.checked = 0
        self._last_sequence = after_sequence
        self._last_hash = after_hash

    def feed(self, link: Link) -> None:
        expected = self._last_sequence + 1
        if link.sequence > expected:
            self._note_removed(expected, link.sequence - 1)
        elif link.previous_hash != self._last_hash:
            self._note(link, "does not follow the row before it: rows were swapped, or one of the two was rewritten")
        if link_hash(link.previous_hash, link.audit_id, link.content) != link.hash:
            self._note(link, "was edited: it is not what its hash says")
        self.checked += 1
        self._last_sequence, self._last_hash = link.sequence, link.hash

    def finish(self, head_sequence: int, head_hash: bytes) -> None:
        """``head_sequence`` 0 with ``GENESIS`` is a chain that was never begun."""
        if self._last_sequence < head_sequence:
            self._note_removed(self._last_sequence + 1, head_sequence)
        elif self._last_sequence > head_sequence or self._last_hash != head_hash:
            reason = "is the last row, but not the one that was written last"
            self.faults.append(Fault(self._last_sequence, None, reason))

    def _note(self, link: Link, reason: str) -> None:
        self.faults.append(Fault(link.sequence, link.audit_id, reason))

    def _note_removed(self, first: int, last: int) -> None:
        reason = "was removed" if first == last else f"and all up to row {last} were removed"
        self.faults.append(Fault(first, None, reason))
