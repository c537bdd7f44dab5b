"""Where an answer has its statements from: Google's grounding and citation metadata, and citations as such."""

from collections.abc import Iterator, Mapping

import msgspec

from app.protocols.conversation import Citation

PROTOCOL = "gemini"
_SOURCES = ("web", "retrievedContext", "maps", "image")

Node = Mapping[str, object]


def citations_in(grounding: object, metadata: object, text: str) -> Iterator[Citation]:
    """The citations of ``text``; Google counts in bytes of UTF-8, and the offsets here are characters."""
    encoded = text.encode()
    if isinstance(grounding, dict):
        yield from _grounded(grounding, encoded)
    if isinstance(metadata, dict):
        for source in _listed(metadata.get("citations") or metadata.get("citationSources")):
            yield _citation(source, source, encoded, {"citation": source})


def _grounded(grounding: Node, encoded: bytes) -> Iterator[Citation]:
    chunks = _listed(grounding.get("groundingChunks"))
    supports = _listed(grounding.get("groundingSupports"))
    for support in supports:
        segment = support.get("segment")
        indices = support.get("groundingChunkIndices")
        for index in indices if isinstance(indices, list) else ():
            if isinstance(index, int) and 0 <= index < len(chunks):
                raw = {"segment": segment, "groundingChunk": chunks[index]}
                yield _citation(_source_in(chunks[index]), segment, encoded, raw)
    if not supports:
        for chunk in chunks:
            yield _citation(_source_in(chunk), None, encoded, {"groundingChunk": chunk})


def _source_in(chunk: Node) -> Node:
    found = (chunk.get(name) for name in _SOURCES)
    return next((source for source in found if isinstance(source, dict)), {})


def _citation(source: Node, segment: object, encoded: bytes, raw: object) -> Citation:
    """Proto-JSON leaves a start of 0 out; without an end there is no place."""
    place: Node = segment if isinstance(segment, dict) else {}
    end = _characters(encoded, place.get("endIndex"))
    start = None if end is None else _characters(encoded, place.get("startIndex", 0))
    return Citation(
        PROTOCOL,
        _encoded(raw),
        url=_text(source.get("uri")) or _text(source.get("sourceUri")),
        title=_text(source.get("title")),
        start=start,
        end=end,
    )


def _encoded(raw: object) -> str:
    try:
        return msgspec.json.encode(raw).decode()
    except (OverflowError, RecursionError):
        return "{}"


def _characters(encoded: bytes, offset: object) -> int | None:
    if not isinstance(offset, int) or isinstance(offset, bool) or not 0 <= offset <= len(encoded):
        return None
    return len(encoded[:offset].decode(errors="ignore"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _listed(value: object) -> list[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


class GroundingRendering:
    """Gathers citations into the metadata of one answer. Offsets become bytes of all its text."""

    def __init__(self) -> None:
        self._chunks: dict[tuple[str, str], int] = {}
        self._supports: list[dict[str, object]] = []
        self._citations: list[dict[str, object]] = []
        self._spoken_bytes = 0

    def add(self, text: str, citations: list[Citation]) -> None:
        """A text block that has ended, with its citations. One without a place is for the whole block."""
        for citation in citations:
            segment = self._segment(citation, text)
            if citation.url is None:
                self._citations.append(
                    {
                        "startIndex": segment["startIndex"],
                        "endIndex": segment["endIndex"],
                        "title": citation.title or citation.cited_text or "",
                    }
                )
                continue
            index = self._chunks.setdefault((citation.url, citation.title or ""), len(self._chunks))
            self._supports.append({"segment": segment, "groundingChunkIndices": [index]})
        self._spoken_bytes += len(text.encode())

    def rendered(self) -> dict[str, object]:
        """The members of a candidate; empty where nothing was cited."""
        members: dict[str, object] = {}
        if self._chunks:
            chunks = [{"web": {"uri": url, "title": title}} for url, title in self._chunks]
            members["groundingMetadata"] = {"groundingChunks": chunks, "groundingSupports": self._supports}
        if self._citations:
            members["citationMetadata"] = {"citations": self._citations}
        return members

    def _segment(self, citation: Citation, text: str) -> dict[str, object]:
        end = len(text) if citation.end is None else min(max(citation.end, 0), len(text))
        start = 0 if citation.end is None else min(max(citation.start or 0, 0), end)
        before = self._spoken_bytes + len(text[:start].encode())
        return {
            "startIndex": before,
            "endIndex": before + len(text[start:end].encode()),
            "text": text[start:end],
        }
