"""Tables of the command line: exact, and never wider than the line."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.cli.tables import Column, write_sheet, write_table, write_value

COLUMNS = (
    Column("id", "id"),
    Column("alias", "alias", gives=True),
    Column("owner", "owner", gives=True, lesser=True),
    Column("spend (USD)", "spend"),
)
ROW = {"id": "key_01kav3m8x2n5p7q9r1s3t5v7w9", "alias": "laptop", "owner": None, "spend": Decimal("0.003150")}


def test_amounts_keep_their_digits_and_stand_to_the_right() -> None:
    other = {**ROW, "spend": Decimal("1250.000000001")}
    lines = write_table(COLUMNS, [ROW, other], 120).splitlines()
    assert lines[1].endswith("      0.003150")
    assert lines[2].endswith("1250.000000001")


def test_a_column_with_nothing_in_it_is_left_out() -> None:
    assert "owner" not in write_table(COLUMNS, [ROW], 120)
    assert "owner" in write_table(COLUMNS, [{**ROW, "owner": "ada"}], 120)


def test_without_rows_the_heads_are_shown() -> None:
    assert write_table(COLUMNS, [], 120) == "id  alias  owner  spend (USD)"


def test_texts_give_way_before_columns_do_and_ids_never() -> None:
    row = {**ROW, "alias": "a" * 60, "owner": "o" * 60}
    wide, narrow = write_table(COLUMNS, [row], 120), write_table(COLUMNS, [row], 80)
    for table in (wide, narrow):
        assert str(ROW["id"]) in table
        assert "0.003150" in table
        assert "…" in table
    assert "owner" in wide
    tight = write_table((*COLUMNS, Column("more", "alias", lesser=True)), [row], 80)
    assert "more" not in tight


@given(
    st.lists(
        st.fixed_dictionaries(
            {"id": st.text("abc", max_size=30), "alias": st.text(max_size=90), "owner": st.none() | st.text("o"),
             "spend": st.decimals(0, 9_000_000, places=9)}
        ),
        max_size=5,
    ),
    st.integers(80, 160),
)  # fmt: skip
def test_no_line_is_longer_than_asked_for(rows: list[dict[str, object]], width: int) -> None:
    lines = write_table(COLUMNS, rows, width).split("\n")
    assert len(lines) == len(rows) + 1
    assert max(map(len, lines)) <= width


def test_values_are_written_for_people() -> None:
    values: tuple[object, ...] = (None, True, "2026-11-21T10:30:59.123Z", ["a", "b"], {"a": 1}, "a\n\x1bb", {}, [])
    written = [write_value(value) for value in values]
    assert written == ["", "yes", "2026-11-21 10:30", "a, b", "a=1", "a b", "", ""]


def test_a_sheet_has_only_what_there_is() -> None:
    assert write_sheet(("alias", "spend", "budget"), {"alias": "x", "spend": Decimal(0), "budget": None}) == (
        "alias   x\nspend   0"
    )
