"""How hosts of the text completions API differ: by nothing but their names, as far as we know."""

from dataclasses import dataclass

from app.protocols.codec import Dialect


@dataclass(frozen=True, slots=True)
class CompletionsDialect(Dialect):
    pass
