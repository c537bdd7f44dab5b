"""The chain of the audit: every edit, removal and swap of its rows is told, and its place."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.audit_chain import GENESIS, ChainCheck, Fault, Link, link_hash


def chain(contents: list[tuple[str | None, ...]]) -> list[Link]:
    links: list[Link] = []
    previous = GENESIS
    for sequence, content in enumerate(contents, start=1):
        own = link_hash(previous, f"audit_{sequence}", content)
        links.append(Link(sequence, f"audit_{sequence}", content, previous, own))
        previous = own
    return links


def faults_of(links: list[Link], head: Link | None) -> list[Fault]:
    check = ChainCheck()
    for link in links:
        check.feed(link)
    check.finish(*(0, GENESIS) if head is None else (head.sequence, head.hash))
    return check.faults


FIVE = chain([(name, None) for name in "abcde"])
contents = st.lists(st.tuples(st.one_of(st.none(), st.text(max_size=5)), st.text(max_size=5)), min_size=2, max_size=8)


def test_a_chain_as_it_was_written_has_no_fault() -> None:
    assert faults_of(FIVE, FIVE[-1]) == []
    assert faults_of([], None) == []


def test_a_chain_can_be_checked_from_a_row_on_that_is_believed() -> None:
    for last, expected in ((FIVE[4], []), (replace(FIVE[4], content=("E", None)), [5])):
        check = ChainCheck(FIVE[2].sequence, FIVE[2].hash)
        for link in (FIVE[3], last):
            check.feed(link)
        check.finish(FIVE[4].sequence, FIVE[4].hash)
        assert [fault.sequence for fault in check.faults] == expected


def test_an_edited_row_is_named() -> None:
    edited = [*FIVE[:2], replace(FIVE[2], content=("C", None)), *FIVE[3:]]
    [fault] = faults_of(edited, FIVE[-1])
    assert (fault.sequence, fault.audit_id) == (3, "audit_3")
    assert "edited" in fault.reason


def test_an_edited_row_with_a_hash_of_its_own_no_longer_carries_the_next() -> None:
    forged = replace(FIVE[2], content=("C", None), hash=link_hash(FIVE[2].previous_hash, "audit_3", ("C", None)))
    assert [fault.sequence for fault in faults_of([*FIVE[:2], forged, *FIVE[3:]], FIVE[-1])] == [4]
    last = replace(FIVE[4], content=("E", None), hash=link_hash(FIVE[4].previous_hash, "audit_5", ("E", None)))
    assert [fault.sequence for fault in faults_of([*FIVE[:4], last], FIVE[-1])] == [5]


@pytest.mark.parametrize(("first", "last"), [(1, 1), (3, 3), (2, 4), (5, 5), (4, 5), (1, 5)])
def test_removed_rows_are_named_also_at_both_ends(first: int, last: int) -> None:
    left = [link for link in FIVE if not first <= link.sequence <= last]
    [fault] = faults_of(left, FIVE[-1])
    assert (fault.sequence, fault.audit_id) == (first, None)
    assert "removed" in fault.reason
    if last > first:
        assert f"up to row {last}" in fault.reason


def test_swapped_rows_are_named() -> None:
    swapped = [FIVE[0], replace(FIVE[2], sequence=2), replace(FIVE[1], sequence=3), *FIVE[3:]]
    faults = faults_of(swapped, FIVE[-1])
    assert [fault.sequence for fault in faults] == [2, 3, 4]
    assert all("swapped" in fault.reason for fault in faults)


@given(contents, st.data())
def test_no_change_of_any_content_goes_unseen(written: list[tuple[str | None, ...]], data: st.DataObject) -> None:
    links = chain(written)
    place = data.draw(st.integers(0, len(links) - 1))
    other = data.draw(st.tuples(st.one_of(st.none(), st.text(max_size=5)), st.text(max_size=5)))
    changed = [*links[:place], replace(links[place], content=other), *links[place + 1 :]]
    assert (faults_of(changed, links[-1]) == []) == (other == written[place])
