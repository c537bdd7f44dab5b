"""The recorded answers, and how to feed them."""

from pathlib import Path

from app.protocols.codec import StreamScanner, UsageReport

FIXTURES = Path(__file__).parent / "fixtures"


def answer(name: str) -> bytes:
    """The bytes of a fixture, such as ``anthropic_messages/text.sse``."""
    return (FIXTURES / name).read_bytes()


def names(protocol: str, kind: str) -> list[str]:
    return sorted(f"{protocol}/{path.name}" for path in (FIXTURES / protocol).glob(f"*.{kind}"))


def feed_all(scanner: StreamScanner, *chunks: bytes) -> tuple[bytes, UsageReport]:
    passed = b"".join(scanner.feed(chunk) for chunk in chunks) + scanner.flush()
    return passed, scanner.report()
