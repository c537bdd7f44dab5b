"""Writes the tables of docs/compatibility.md from what the codecs do: ``python -m tests.translation.compatibility``."""

from pathlib import Path

from app.base.errors import InvalidRequest
from tests.translation.features import FEATURES, Feature
from tests.translation.paths import NAMES, as_heard, client_body, to_host

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
BEGIN, END = "<!-- tables: made by tests/translation/compatibility.py -->", "<!-- end of tables -->"


def cell(front: str, host: str, feature: Feature) -> str:
    if front == host:
        return "as it is"
    body = client_body(front, feature)
    if body is None:
        return "–"
    try:
        losses = to_host(as_heard(front, body), host, thinks=feature.thinks).losses
    except InvalidRequest:
        return "refused (400)"
    dropped = [loss.field for loss in losses if loss.severity == "dropped"]
    if dropped:
        return f"dropped: {', '.join(f'`{field}`' for field in dropped)}"
    return "approximated" if losses else "yes"


def tables() -> str:
    parts = []
    for front, name in NAMES.items():
        heads = " | ".join(NAMES[host] for host in NAMES)
        lines = [
            f"### From {'an' if name[0] in 'AO' else 'a'} {name} client",
            "",
            f"| feature | {heads} |",
            "|---" * (len(NAMES) + 1) + "|",
        ]
        lines += [
            f"| {feature.title} | " + " | ".join(cell(front, host, feature) for host in NAMES) + " |"
            for feature in FEATURES
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def page_with(tables_text: str) -> str:
    page = PAGE.read_text()
    head, _, rest = page.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{tables_text}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page_with(tables()))
