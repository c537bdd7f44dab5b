"""Every row of the seed documents has a test named after its number, or a line that says why not."""

import re
from pathlib import Path

ROWS = {"a": range(1, 16), "b": range(1, 33), "c": range(1, 11), "d": range(1, 86), "e": range(1, 12)}
UNUSED = {f"d{number}" for number in (8, 9, *range(21, 30), *range(42, 50))}
"""Numbers that no row has."""
FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "compatibility.md"


def test_every_row_has_a_test_or_a_line_that_says_why_not() -> None:
    rows = {f"{letter}{number}" for letter, numbers in ROWS.items() for number in numbers} - UNUSED
    assert len(rows) == 134
    names = [name for file in FOLDER.glob("test_*.py") for name in re.findall(r"def test_(\w+)", file.read_text())]
    heads = [re.match(r"([a-e]\d+_)+", name) for name in names]
    tested = {_plain(row) for head in heads if head for row in head[0].rstrip("_").split("_")}
    _, _, section = PAGE.read_text().partition("## Seed rows without a test")
    explained = {_plain(row.lower()) for row in re.findall(r"^- ([A-E]\d+)\b", section, re.MULTILINE)}
    assert sorted(rows - tested - explained) == []
    assert sorted((tested | explained) - rows) == [], "a number that no row has"


def _plain(row: str) -> str:
    return f"{row[0]}{int(row[1:])}"
