"""What the C library does with memory that was freed."""

import contextlib
import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEPT_BYTES = 16 * 1024 * 1024
_OWN_MAPPING_BYTES = 4 * 1024 * 1024


def keep_freed_memory() -> None:
    """Keep up to 16 MiB of it for what comes next, where the C library is glibc.

    By default it goes back to the kernel at once and is fetched anew, page by page: a fifth of what the translation
    of a request of 256 KB costs.
    """
    with contextlib.suppress(OSError, AttributeError):  # no such call in other C libraries
        library = ctypes.CDLL(None)
        library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        library.mallopt(_MMAP_THRESHOLD, _OWN_MAPPING_BYTES)
