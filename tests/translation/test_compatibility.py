"""docs/compatibility.md says what the codecs do."""

from tests.translation.compatibility import PAGE, page_with, tables


def test_the_tables_of_the_page_are_what_the_codecs_do_today() -> None:
    assert PAGE.read_text() == page_with(tables()), "run: python -m tests.translation.compatibility"
