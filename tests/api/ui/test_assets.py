"""The files that pages load: small, and with the licences of whatever is not ours."""

from importlib.resources import files

from app.api.ui.assets import _load

MOST_BYTES = 100 * 1024


def test_all_files_of_pages_together_weigh_less_than_100_kib_zipped() -> None:
    assets = _load()
    assert "keyhouse.css" in assets
    assert sum(len(asset.zipped) for asset in assets.values()) < MOST_BYTES


def test_each_minified_file_has_its_licence_beside_it() -> None:
    names = {entry.name for entry in files("app.api.ui").joinpath("static").iterdir()}
    minified = [name for name in names if ".min." in name]
    assert minified
    assert [name for name in minified if f"{name.partition('.')[0]}.LICENSE.txt" not in names] == []


def test_no_two_style_sheets_mean_different_things_by_one_class() -> None:
    """A class of the shared sheet is refined elsewhere below another, never laid out anew by itself."""
    sheets = {name: asset.content.decode() for name, asset in _load().items() if name.endswith(".css")}
    owners: dict[str, set[str]] = {}
    for name, text in sheets.items():
        for line in text.splitlines():
            selector = line.strip().partition(" {")[0]
            if selector.startswith(".") and selector[1:].replace("-", "").isalnum():
                owners.setdefault(selector, set()).add(name)
    assert {selector: sorted(names) for selector, names in owners.items() if len(names) > 1} == {}


def test_paper_is_white_and_as_wide_as_a_desk_whatever_the_screen_is() -> None:
    """Dark colors and the layout of a phone are of screens: a sheet of A4 is narrower than the latter's bound."""
    sheets = [asset.content.decode() for name, asset in _load().items() if name.endswith(".css")]
    queries = [line.strip() for text in sheets for line in text.splitlines() if line.strip().startswith("@media")]
    of_the_screen = [query for query in queries if "dark" in query or "max-width" in query]
    assert of_the_screen
    assert [query for query in of_the_screen if not query.startswith("@media screen and ")] == []
