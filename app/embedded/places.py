"""Where the embedded servers keep their files, and the account they run as.

Nothing here changes the mode or owner of a folder that existed before: modes and owners are set only on what
was made in the same call.
"""

import hashlib
import os
import pwd
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from app.embedded.errors import EmbeddedServerError

SYSTEM_DATA = Path("/var/lib/keyhouse")
OUTSIDE_SERVERS = "set DATABASE_URL and REDIS_URL to servers of your own, or use docker compose"


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged account that the servers run as when Keyhouse runs as root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one home.

    `control` (secrets, ports, locks, logs) belongs to the account of Keyhouse, `data` is where each server has a
    folder of its own. `account` is None when the servers run as the account of Keyhouse itself.
    """

    control: Path
    data: Path
    account: Account | None

    def log(self, name: str) -> Path:
        return self.control / f"{name}.log"


def open_places(home: Path) -> Places:
    """Make the folders of `home` where they are missing, and check that they are ours.

    Raises EmbeddedServerError when the home, or what lies in it, belongs to another account.
    """
    try:
        home = home.expanduser().absolute()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home = home.resolve()
        account = find_server_account()
        _check_home(home)
        control = home / "embedded"
        make_folder(control, account=None)
        return Places(control, _choose_data(home, control, account), account)
    except OSError as error:
        raise EmbeddedServerError(
            f'the home "{home}" cannot be used: {error}; set KEYHOUSE_HOME to a folder of your own'
        ) from error


def find_server_account() -> Account | None:
    """`nobody` when Keyhouse runs as root (Postgres refuses to), else None."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise EmbeddedServerError(
            f'as root, the embedded servers run as "nobody", and there is no such account: {OUTSIDE_SERVERS}'
        ) from error
    return Account(nobody.pw_uid, nobody.pw_gid)


def _check_home(home: Path) -> None:
    status = home.stat()
    usable = status.st_uid == 0 if os.geteuid() == 0 else os.access(home, os.W_OK | os.X_OK)
    if not usable:
        raise _foreign(home, status.st_uid)


def _foreign(path: Path, owner: int) -> EmbeddedServerError:
    return EmbeddedServerError(
        f'"{path}" belongs to "{_account_name(owner)}" and Keyhouse runs as "{_account_name(os.geteuid())}": '
        f"run it as its owner, or set KEYHOUSE_HOME to a folder of your own"
    )


def _account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _choose_data(home: Path, control: Path, account: Account | None) -> Path:
    """The home itself, or a folder under /var/lib/keyhouse where the servers' account cannot enter the home.

    The second choice is written down, so that a later change of the home's mode does not make the data vanish.
    """
    if account is None:
        return home
    record = control / "data-folder"
    if record.exists():
        data = Path(record.read_text().strip())
    elif (home / "postgres").exists() or (home / "valkey").exists() or may_enter(home, account):
        return home
    else:
        data = SYSTEM_DATA / hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
        write_private(record, f"{data}\n", account=None)
    data.parent.parent.mkdir(parents=True, exist_ok=True)
    for folder in (data.parent, data):
        make_passage(folder)
    return data


def may_enter(folder: Path, account: Account) -> bool:
    """Whether the account may pass through `folder` and every folder above it (by mode; ACLs are not read)."""
    return all(_allows(above, account, 0o1) for above in (folder, *folder.parents))


def may_execute(binary: Path, account: Account) -> bool:
    """Whether the account may read and run the file."""
    return may_enter(binary.parent, account) and _allows(binary, account, 0o5)


def _allows(path: Path, account: Account, wanted: int) -> bool:
    status = path.stat()
    if status.st_uid == account.uid:
        granted = status.st_mode >> 6
    elif status.st_gid == account.gid:
        granted = status.st_mode >> 3
    else:
        granted = status.st_mode
    return granted & wanted == wanted


def make_passage(folder: Path) -> None:
    """Make a folder of Keyhouse's own account that others can pass through but not list."""
    try:
        folder.mkdir()
    except FileExistsError:
        if folder.stat().st_uid != os.geteuid():
            raise _foreign(folder, folder.stat().st_uid) from None
    else:
        folder.chmod(0o711)


def make_folder(folder: Path, account: Account | None) -> None:
    """Make a folder of mode 0700 for the account; one that exists must be the account's already."""
    owner = os.geteuid() if account is None else account.uid
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        status = folder.lstat()
        if status.st_uid != owner or not stat.S_ISDIR(status.st_mode):
            raise _foreign(folder, status.st_uid) from None
    else:
        if account is not None:
            os.chown(folder, account.uid, account.gid)


def write_private(path: Path, text: str, account: Account | None) -> None:
    """Write a file of mode 0600 for the account, whole or not at all."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        if account is not None:
            os.fchown(descriptor, account.uid, account.gid)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)


def keep_password(path: Path) -> str:
    """The password in the file; made on the first call."""
    if not path.exists():
        write_private(path, f"{secrets.token_urlsafe(24)}\n", account=None)
    return path.read_text().strip()
