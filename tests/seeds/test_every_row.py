"""Every row of the seed documents has a test named after its number, or a line that says why not.

A row is one fact that a document names, and its letter is the document: A an issue about model discovery for Claude
Code, B a provider's page on claude_code_native, C a gateway's page on the Messages API for any model, D the pages on
DeepSeek, Ollama, OpenRouter and Anthropic, E the page on the pass-through.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "compatibility.md"
HEADING = "## Seed rows without a test"
SPANS = {
    "A": ((1, 15),),
    "B": ((1, 32),),
    "C": ((1, 10),),
    "D": ((1, 7), (10, 20), (30, 41), (50, 85)),
    "E": ((1, 11),),
}
ROWS = {
    f"{letter}{number}" for letter, spans in SPANS.items() for first, last in spans for number in range(first, last + 1)
}
_IN_A_NAME = re.compile(r"test((?:_[a-e]\d+)+)_[a-z]")
_ON_THE_PAGE = re.compile(r"^- \*\*([A-E]\d+)\*\*: \S", re.MULTILINE)


def rows_of_names() -> Iterator[str]:
    """The numbers in the names of the tests: ``test_b10_b12_…`` stands for two rows."""
    for path in sorted(FOLDER.glob("test_[a-e]_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else ""
            if (match := _IN_A_NAME.match(name)) is not None:
                for part in match[1].strip("_").split("_"):
                    yield f"{part[0].upper()}{int(part[1:])}"


def rows_of_the_page() -> list[str]:
    """Those that the page says to have no test, in lines that begin ``- **A1**: ``; its other lines are of a part of a
    row, which does not excuse the rest of it."""
    return _ON_THE_PAGE.findall(PAGE.read_text().partition(HEADING)[2].partition("\n## ")[0])


def test_each_of_the_134_rows_has_a_test_or_a_reason() -> None:
    assert len(ROWS) == 134
    known = {*rows_of_names(), *rows_of_the_page()}
    missing = sorted(ROWS - known, key=lambda row: (row[0], int(row[1:])))
    assert not missing, f"without a test under tests/seeds, and without a line in {PAGE.name}: {', '.join(missing)}"


def test_no_name_and_no_reason_is_of_a_row_that_does_not_exist() -> None:
    assert {*rows_of_names(), *rows_of_the_page()} <= ROWS


def test_a_row_with_a_test_has_no_reason_for_having_none() -> None:
    assert not set(rows_of_names()) & set(rows_of_the_page())
