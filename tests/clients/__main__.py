"""``python -m tests.clients``: installs the real clients and runs their tests with no way out of this machine."""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys

from tests.clients.installed import PACKAGES, has_npm, install

_INSIDE = "--inside"
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
# A network namespace of its own, where loopback is all there is. Who is not root gets it in a user namespace.
_UNSHARE = ("unshare", "--net")
_UNSHARE_AS_USER = (*_UNSHARE, "--user", "--map-current-user", "--keep-caps")


def main() -> int:
    arguments = sys.argv[1:]
    if arguments[:1] == [_INSIDE]:
        _raise_loopback()
        return _run_tests(arguments[1:])
    if has_npm():
        for package in PACKAGES:
            install(package)
    isolated = _isolated()
    if isolated is None:
        sys.stderr.write("this system gives no network namespace; only the clients' own settings keep them here\n")
        return _run_tests(arguments)
    command = [*isolated, sys.executable, "-m", "tests.clients", _INSIDE, *arguments]
    return subprocess.run(command, check=False).returncode


def _isolated() -> tuple[str, ...] | None:
    command = _UNSHARE if os.geteuid() == 0 else _UNSHARE_AS_USER
    if shutil.which("unshare") is None:
        return None
    permitted = subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0
    return command if permitted else None


def _raise_loopback() -> None:
    """What ``ip link set lo up`` does, where there is no ``ip``. Source: netdevice(7)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _run_tests(arguments: list[str]) -> int:
    named = any(argument.startswith("tests/") for argument in arguments)
    paths = [] if named else ["tests/clients"]
    command = [sys.executable, "-m", "pytest", "-m", "clients", *arguments, *paths]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
