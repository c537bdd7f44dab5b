"""The data directory of a single machine: the admin key and the secret that are generated when none is given."""

import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from app.base.secret import Secret
from app.domain.keys import mint_key
from app.settings import Settings, SettingsError

ADMIN_KEY_FILE = "admin-key"
SECRET_FILE = "secret"  # noqa: S105  the name of a file


@dataclass(frozen=True, slots=True)
class Prepared:
    """Settings with both secrets in place; ``new_admin_key`` is set when it was generated just now."""

    settings: Settings
    new_admin_key: Secret | None


def prepare(settings: Settings) -> Prepared:
    """Make the home, and fill in the master key and the secret: generated once, and only for embedded servers.

    A fleet on an outside database must share both, so there they have to be given. Raises SettingsError.
    """
    check_secrets(settings)
    make_home(settings.home)
    new_admin_key: Secret | None = None
    master_key, secret = settings.master_key, settings.secret
    if master_key is None:
        master_key, created = _kept(settings.home / ADMIN_KEY_FILE, mint_key())
        new_admin_key = master_key if created else None
    if secret is None:
        secret, _ = _kept(settings.home / SECRET_FILE, secrets.token_urlsafe(32))
    return Prepared(replace(settings, master_key=master_key, secret=secret), new_admin_key)


def check_secrets(settings: Settings) -> None:
    """Raises SettingsError where a secret must be given and is not."""
    missing = [
        name
        for name, value in (("KEYHOUSE_MASTER_KEY", settings.master_key), ("KEYHOUSE_SECRET", settings.secret))
        if value is None
    ]
    if missing and settings.database_url is not None:
        raise SettingsError(
            f"{' and '.join(missing)} must be set when DATABASE_URL is: all replicas and restarts need the same. "
            "Make one with: python3 -c 'import secrets; print(\"sk-\" + secrets.token_urlsafe(32))'"
        )


def make_home(home: Path) -> None:
    """Raises SettingsError when the directory cannot be made or is not ours."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f'the data directory "{home}" cannot be made ({error.strerror}); set KEYHOUSE_HOME to one that can'
        ) from error
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        owner = home.stat().st_uid
        raise SettingsError(
            f'the data directory "{home}" belongs to user {owner} and cannot be used by user {os.getuid()}; '
            "set KEYHOUSE_HOME to another one"
        )


def _kept(path: Path, fresh: str) -> tuple[Secret, bool]:
    """The text in the file; ``fresh`` is written there when it does not exist, by one process alone."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if not path.exists():
            _write_private(temporary, fresh)
            try:
                os.link(temporary, path)  # fails when another process was first
            except FileExistsError:
                pass
            else:
                return Secret(fresh), True
            finally:
                temporary.unlink()
        return Secret(path.read_text(encoding="ascii").strip()), False
    except OSError as error:
        raise SettingsError(f'"{path}" cannot be read or written ({error.strerror})') from error


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
