"""What a translation costs: each protocol's answers for the clients of each other, and each client's requests for each
other host, in this process alone; `python -m benchmarks.translation`."""

import dataclasses
import gc
import time
from collections.abc import Callable

import msgspec

from app.base.memory import keep_freed_memory
from app.protocols.codec import Asked, Codec, Dialect, PathFacts, Reading
from app.protocols.registry import all_codecs
from app.protocols.translation import Translation
from benchmarks.measure import Row
from benchmarks.translation_requests import envelope_of
from benchmarks.translation_streams import FRAMES, Kind, stream_of

EVENT_GOAL_US = 10.0
REQUEST_GOAL_MS = 1.0
FRAMES_A_CHUNK = 16
STREAM_ROUNDS = 12
REQUEST_ROUNDS = 25
STREAMS: tuple[tuple[Kind, int], ...] = (("text", 1), ("text", FRAMES_A_CHUNK), ("tools", 1))
TEXT_ONLY = "openai_completions"


@dataclasses.dataclass(frozen=True, slots=True)
class Party:
    """Who speaks a protocol: a client or a host, by the name of its model."""

    label: str
    codec: Codec
    dialect: Dialect
    model: str


def parties() -> list[Party]:
    """One of each protocol, and Gemini once more for its older models, whose schemas are to be reduced."""
    codecs = all_codecs()
    named = (
        ("messages", "anthropic_messages", "anthropic", "claude-haiku-4-5"),
        ("chat", "openai_chat", "openai", "gpt-5.6"),
        ("responses", "openai_responses", "openai", "gpt-5.6"),
        ("completions", "openai_completions", "openai", "gpt-3.5-turbo-instruct"),
        ("gemini", "gemini", "gemini", "gemini-2.5-flash"),
        ("gemini 2.0", "gemini", "gemini", "gemini-2.0-flash"),
        ("ollama", "ollama", "ollama", "qwen3"),
    )
    return [Party(label, codecs[protocol], Dialect(issuer), model) for label, protocol, issuer, model in named]


def measure_translation() -> list[Row]:
    """Every ordered pair. `through` is the translation, `direct` plain msgspec reading and writing the same bytes."""
    everyone = parties()
    keep_freed_memory()  # as the gateway does at its start
    gc.collect()
    gc.disable()  # where it strikes is chance; a server freezes what it has at its start
    try:
        speakers = [party for party in everyone if party.label != "gemini 2.0"]
        rows = [
            row
            for kind, frames_a_chunk in STREAMS
            for host in speakers
            for client in speakers
            if host is not client and (row := _stream_row(host, client, kind, frames_a_chunk))
        ]
        clients = [party for party in speakers if party.codec.name != TEXT_ONLY]
        hosts = [party for party in everyone if party.codec.name != TEXT_ONLY]
        rows += [
            _request_row(client, host) for client in clients for host in hosts if client.codec.name != host.codec.name
        ]
    finally:
        gc.enable()
    return rows


def _best_us(prepare: Callable[[], Callable[[], object]], rounds: int) -> float:
    """Processor time of the quickest of several runs, each prepared anew."""
    best_ns = 10**18
    for _ in range(rounds):
        run = prepare()
        before_ns = time.thread_time_ns()
        run()
        best_ns = min(best_ns, time.thread_time_ns() - before_ns)
    return best_ns / 1000


def _stream_row(host: Party, client: Party, kind: Kind, frames_a_chunk: int) -> Row | None:
    stream = stream_of(host.codec.name, kind)
    if stream is None or (kind == "tools" and client.codec.name == TEXT_ONLY):
        return None
    envelope = client.codec.read_envelope(_QUESTION, PathFacts("model", stream=True))
    asked = Asked(envelope, "model", "req_1", 1_795_219_200)
    reading = Reading(host.dialect)
    starts = range(0, FRAMES, frames_a_chunk)
    chunks = [b"".join(stream.frames[start : start + frames_a_chunk]) for start in starts]

    def translate() -> Callable[[], object]:
        translation = Translation(host.codec.stream_parser(reading), client.codec.stream_renderer(asked))
        translation.feed(stream.head)
        return lambda: [translation.feed(chunk) for chunk in chunks]

    def plain() -> Callable[[], object]:
        return lambda: [_encode(_decode(data)) for data in stream.data]

    through_us = _best_us(translate, STREAM_ROUNDS) / FRAMES / stream.events
    direct_us = _best_us(plain, STREAM_ROUNDS) / FRAMES / stream.events
    name = f"{kind}, {frames_a_chunk} a chunk: {host.label} to {client.label}"
    return Row(name, "µs", through_us, direct_us, _verdict(through_us, EVENT_GOAL_US))


def _request_row(client: Party, host: Party) -> Row:
    envelope = envelope_of(client.codec, client.dialect, host.model)
    body = envelope.body

    def translate() -> Callable[[], object]:
        return lambda: host.codec.render_request(client.codec.parse_request(envelope, ()), host.dialect)

    def plain() -> Callable[[], object]:
        return lambda: _encode(_decode(body))

    through_ms = _best_us(translate, REQUEST_ROUNDS) / 1000
    direct_ms = _best_us(plain, REQUEST_ROUNDS) / 1000
    note = f"{len(body) // 1024} KiB {_verdict(through_ms, REQUEST_GOAL_MS)}".rstrip()
    return Row(f"request: {client.label} to {host.label}", "ms", through_ms, direct_ms, note)


def _verdict(measured: float, goal: float) -> str:
    return "" if measured <= goal else f"above the goal of {goal:.2f}"


def render_matrices(rows: list[Row]) -> str:
    """One table for each kind: from the left to the top, with the ratio to plain msgspec behind each figure."""
    tables: dict[str, dict[str, dict[str, Row]]] = {}
    for row in rows:
        kind, _, pair = row.name.partition(": ")
        source, _, target = pair.partition(" to ")
        tables.setdefault(kind, {}).setdefault(source, {})[target] = row
    return "\n\n".join(_render_matrix(kind, table) for kind, table in tables.items())


def _render_matrix(kind: str, table: dict[str, dict[str, Row]]) -> str:
    present = {target for cells in table.values() for target in cells}
    targets = [party.label for party in parties() if party.label in present]
    some = next(iter(next(iter(table.values())).values()))
    lines = [f"{kind} ({some.unit}) {'':4}" + "".join(f"{target:>15}" for target in targets)]
    width = len(lines[0]) - 15 * len(targets)
    for source, cells in table.items():
        lines.append(f"{'  ' + source:{width}}" + "".join(f"{_cell(cells.get(target)):>15}" for target in targets))
    missed = [f"{row.name}: {row.through:.2f}, {row.note}" for cells in table.values() for row in cells.values()]
    missed = [line for line in missed if "above" in line]
    return "\n".join([*lines, *(missed or ["  all within the goal"])])


def _cell(row: Row | None) -> str:
    return "" if row is None else f"{row.through:.2f} ({row.ratio:.1f}x)"


_encode = msgspec.json.encode
_decode = msgspec.json.decode
# Enough for whoever renders: of a client's request they read the top level alone.
_QUESTION = b'{"model":"model","stream":true,"messages":[{"role":"user","content":"Hello"}]}'

if __name__ == "__main__":
    print(render_matrices(measure_translation()))
