"""Every page of the routes, as a browser sees it: nothing goes wrong, anybody can use it, it fits, no name runs."""

from collections.abc import Mapping

import pytest

from tests.browser.addresses import EXAMPLES, HOSTILE_EXAMPLES, SIGNED_OUT, address_of, filled_in, page_paths
from tests.browser.hostile import EMAIL, MARK
from tests.browser.watching import MIDDLE, NARROW, WIDE, Watched

PATHS = page_paths()
NAMED = ("label", "select-name", "button-name", "link-name")
"""Rules of axe that a small screen can break: what it hides may have been somebody's name."""


def test_each_page_has_an_address_at_which_it_can_be_looked_at() -> None:
    without = [path for path in PATHS if address_of(path) is None]
    assert without == [], "give each an example in tests/browser/addresses.py"
    assert set(EXAMPLES) | set(HOSTILE_EXAMPLES) <= set(PATHS), "an example of a page that is gone"


@pytest.mark.browser
@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_no_serious_fault_in_light_and_dark_and_fits_a_small_screen(
    path: str, lasting_pages: Mapping[bool, Watched], found: Mapping[str, str]
) -> None:
    watched = lasting_pages[path not in SIGNED_OUT]
    watched.faults.clear()
    watched.page.emulate_media(color_scheme="light")
    watched.go(filled_in(address_of(path) or "", found))
    faults = watched.accessibility_faults()
    watched.page.emulate_media(color_scheme="dark")
    faults += [f"dark: {fault}" for fault in watched.accessibility_faults("color-contrast")]
    for size in (NARROW, MIDDLE, WIDE):
        watched.page.set_viewport_size(size)
        if watched.overflow_px() > 0:
            faults.append(f"{watched.overflow_px()} px wider than {size['width']}")
        if watched.cut_px() > 0:
            faults.append(f"a card cuts off {watched.cut_px()} px at {size['width']}")
        if size is NARROW:
            faults += [f"on a phone: {fault}" for fault in watched.accessibility_faults(*NAMED)]
    assert faults + watched.faults == []
    assert not watched.holds_hostile_elements


@pytest.mark.browser
def test_hostile_names_are_text_where_they_are_shown(
    lasting_pages: Mapping[bool, Watched], found: Mapping[str, str]
) -> None:
    watched = lasting_pages[True]
    watched.faults.clear()
    ran, silent = [], []
    for path, address in HOSTILE_EXAMPLES.items():
        watched.go(filled_in(address, found))
        if watched.holds_hostile_elements:
            ran.append(path)
        if not watched.says(MARK, EMAIL):
            silent.append(path)
    assert ran == []
    assert silent == [], "nothing hostile is on these pages: is there a better example?"
    assert watched.faults == []
