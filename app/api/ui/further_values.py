"""The box of further values on the forms of models and credentials: ``name = value``, one a line."""

from app.admin.provider_secrets import is_shown
from app.base.errors import Unprocessable


def read_further(written: str) -> dict[str, str]:
    """Raises Unprocessable, which never holds a line: a secret may stand in it."""
    found = {}
    for number, line in enumerate(written.splitlines(), start=1):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not line.strip():
            continue
        if not name or not equals:
            raise Unprocessable(f"line {number} of the further values is none; write name = value", param="further")
        if not value:
            raise Unprocessable(f'"{name[:60]}" has no value; write {name[:60]} = value', param="further")
        found[name] = value
    return found


def without_secrets(written: str) -> str:
    """As a refused form shows it once more: of secrets the names alone, and nothing of what is no line."""
    kept = []
    for line in written.splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        if equals:
            kept.append(f"{name} = {value if is_shown(name) else ''}".rstrip())
    return "\n".join(kept)
