"""Anthropic's batches and files: what the fake provider keeps between requests, and bills when a batch has ended."""

import dataclasses
import itertools
import json
import re
import secrets
from typing import Any
from urllib.parse import parse_qs

from tests.fakes import anthropic_wire
from tests.fakes.answers import Answer, Frame, to_json, whole
from tests.fakes.bill import Bill, BillEntry
from tests.fakes.recording import RecordedRequest
from tests.fakes.script import Script, script_of_prompt, total_output_tokens

PIECE_BYTES = 700
_PATH = re.compile(r"/v1/(messages/batches|files)(?:/([^/]+)(?:/(cancel|results|content))?)?")
_MADE_AT = "2026-11-21T00:00:00Z"


@dataclasses.dataclass
class KeptBatch:
    batch_id: str
    requests: list[dict[str, Any]]
    status: str = "in_progress"
    lines: list[bytes] = dataclasses.field(default_factory=list)
    counts: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class KeptFile:
    file_id: str
    name: str
    content: bytes


class AnthropicObjects:
    """``ends_at_once``: a batch has ended when it is asked for the first time; else when ``end`` is called."""

    def __init__(self, bill: Bill) -> None:
        self.batches: dict[str, KeptBatch] = {}
        self.files: dict[str, KeptFile] = {}
        self.ends_at_once = True
        self._bill = bill
        self._numbers = itertools.count(1)
        # Several fakes stand before one database in a run of all tests; a provider never gives an id twice.
        self._mark = secrets.token_hex(6)

    def answer(self, request: RecordedRequest, script: Script, request_id: str) -> Answer | None:
        """None for what is neither a batch nor a file."""
        match = _PATH.fullmatch(request.path)
        if match is None or (script.error and script.error_after is None):
            return None
        kind, object_id, action = match.groups()
        answer = self._answer_batches if kind == "messages/batches" else self._answer_files
        found = answer(request, script, object_id, action)
        headers = anthropic_wire.headers(script, request_id)
        if isinstance(found, Answer):
            return dataclasses.replace(found, headers=(*found.headers, *headers))
        if found is None:
            return anthropic_wire.answer_error(script, 404, request_id, f"{object_id} not found.")
        return whole(200, headers, found)

    def end(self, batch_id: str, default: Script) -> None:
        """Compute the batch, and bill what came of it."""
        batch = self.batches[batch_id]
        if batch.status == "ended":
            return
        canceling = batch.status == "canceling"
        for item in batch.requests:
            script = script_of_prompt(item["params"], default)
            result = {"type": "canceled"} if canceling else self._result(item, script)
            batch.counts[result["type"]] = batch.counts.get(result["type"], 0) + 1
            # In any order: the last one first.
            batch.lines.insert(0, to_json({"custom_id": item["custom_id"], "result": result}) + b"\n")
        batch.status = "ended"

    def _result(self, item: dict[str, Any], script: Script) -> dict[str, Any]:
        if script.message == "expired":
            return {"type": "expired"}
        if script.error:
            error = {"type": anthropic_wire.ERROR_TYPES.get(script.error, "api_error"), "message": "The fake failed."}
            return {"type": "errored", "error": {"type": "error", "error": error, "request_id": None}}
        params = {**item["params"], "stream": False}
        request_id = f"req_{next(self._numbers):06d}"
        [frame] = anthropic_wire.answer_messages(script, params, request_id).frames
        entry = BillEntry(
            request_id=request_id,
            path="/v1/messages/batches",
            model=str(params.get("model")),
            streamed=False,
            input=script.input_tokens,
            cache_read=script.cache_read,
            cache_write_5m=script.cache_write_5m,
            cache_write_1h=script.cache_write_1h,
            output=total_output_tokens(script),
            reasoning=script.reasoning_tokens,
        )
        self._bill.close_call(self._bill.open_call(entry), "finished")
        return {"type": "succeeded", "message": json.loads(frame.payload)}

    def _answer_batches(
        self, request: RecordedRequest, script: Script, batch_id: str | None, action: str | None
    ) -> Any:
        if batch_id is None:
            if request.method == "POST":
                made = KeptBatch(f"msgbatch_{self._mark}{next(self._numbers):012d}", request.json()["requests"])
                self.batches[made.batch_id] = made
                return _batch(made)
            return _page([_batch(batch) for batch in reversed(list(self.batches.values()))], request)
        batch = self.batches.get(batch_id)
        if batch is None:
            return None
        if action == "cancel":
            batch.status = "canceling" if batch.status == "in_progress" else batch.status
            return _batch(batch)
        if action is None and request.method == "GET" and self.ends_at_once:
            self.end(batch_id, script)
        if action == "results":
            return _results(batch)
        if request.method == "DELETE":
            if batch.status != "ended":
                return _error(400, "Message Batches can be deleted only when they have ended.")
            del self.batches[batch_id]
            return {"id": batch_id, "type": "message_batch_deleted"}
        return _batch(batch)

    def _answer_files(self, request: RecordedRequest, script: Script, file_id: str | None, action: str | None) -> Any:
        if file_id is None:
            if request.method == "POST":
                file = _uploaded(f"file_{self._mark}{next(self._numbers):012d}", request)
                self.files[file.file_id] = file
                return _file(file)
            return {"data": [_file(file) for file in reversed(list(self.files.values()))], "next_page": None}
        kept = self.files.get(file_id)
        if kept is None:
            return None
        if action == "content":
            return Answer(200, (("content-type", "application/octet-stream"),), (Frame(kept.content, 0),))
        if request.method == "DELETE":
            del self.files[file_id]
            return {"id": file_id, "type": "file_deleted"}
        return _file(kept)


def _results(batch: KeptBatch) -> Answer:
    if batch.status != "ended":
        return _error(404, "The results of this batch are not there yet.")
    text = b"".join(batch.lines)
    pieces = [text[start : start + PIECE_BYTES] for start in range(0, len(text), PIECE_BYTES)]
    frames = tuple(Frame(piece, 0) for piece in pieces)
    return Answer(200, (("content-type", "application/x-jsonl"),), frames, streamed=True)


def _error(status: int, message: str) -> Answer:
    body = {"type": "error", "error": {"type": anthropic_wire.ERROR_TYPES[status], "message": message}}
    return whole(status, (), body)


def _batch(batch: KeptBatch) -> dict[str, Any]:
    ended = batch.status == "ended"
    counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0) | batch.counts
    if not ended:
        counts["processing"] = len(batch.requests)
    return {
        "id": batch.batch_id,
        "type": "message_batch",
        "processing_status": batch.status,
        "request_counts": counts,
        "ended_at": _MADE_AT if ended else None,
        "created_at": _MADE_AT,
        "expires_at": "2026-11-22T00:00:00Z",
        "cancel_initiated_at": None,
        "archived_at": None,
        "results_url": f"https://api.anthropic.com/v1/messages/batches/{batch.batch_id}/results" if ended else None,
    }


def _page(objects: list[dict[str, Any]], request: RecordedRequest) -> dict[str, Any]:
    limit = int(parse_qs(request.query).get("limit", ["20"])[-1])
    data = objects[:limit]
    ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
    return {"data": data, "has_more": len(objects) > limit, **ends}


def _file(file: KeptFile) -> dict[str, Any]:
    return {
        "id": file.file_id,
        "type": "file",
        "filename": file.name,
        "mime_type": "text/plain",
        "size_bytes": len(file.content),
        "created_at": _MADE_AT,
        "downloadable": True,
    }


def _uploaded(file_id: str, request: RecordedRequest) -> KeptFile:
    """The part of the form called ``file``."""
    boundary = str(request.header("content-type")).partition("boundary=")[2].strip('"').encode()
    for part in request.body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        if b'name="file"' in head:
            name = re.search(rb'filename="([^"]*)"', head)
            return KeptFile(file_id, name[1].decode() if name else "unnamed", content.removesuffix(b"\r\n"))
    raise ValueError("the form has no part called file")
