"""Numbers as people type them into forms."""

import re

_NUMBER = re.compile(r"(?:\$ ?)?([0-9]{1,3}(?:[, ][0-9]{3})+|[0-9]+)(?:\.([0-9]*))?")
EXAMPLES = "25 or 1,250.50"
WHOLE_EXAMPLES = "25 or 1,250"
"""For refusals."""


def plain_number(typed: str) -> str | None:
    """The digits of ``$1,250.50``; None for what is no number.

    A comma stands between thousands alone: as ``1,5`` would be fifteen to us and one and a half to who typed it, it is
    refused.
    """
    found = _NUMBER.fullmatch(typed.strip())
    if found is None:
        return None
    whole, part = re.sub("[, ]", "", found[1]).lstrip("0") or "0", found[2]
    return f"{whole}.{part}" if part else whole
