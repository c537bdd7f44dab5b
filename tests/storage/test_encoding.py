"""Receipts as bytes: what one process wrote another reads, older or newer."""

from datetime import UTC, datetime

import msgspec
import pytest

from app.storage.redis.encoding import decode_receipt, encode_receipt
from tests.storage.ledger_support import make_receipt

RECEIPT = make_receipt("req_1", 70, at=datetime(2026, 11, 21, 5, 14, 28, 699145, tzinfo=UTC))
# As the first version wrote it: what lies in a stream must be readable for ever.
WRITTEN = (
    rb'[1,"req_1",1,"2026-11-21T05:14:28.699145Z",1200,300,null,"team_alpha",null,"key_alpha",null,'
    rb'["blue","a \"quoted\" \\ {one}, with comma"],"5c0b7d5e",null,"/v1/messages","claude","claude-sonnet-4-5",'
    rb'"anthropic","dep_alpha","anthropic_messages","anthropic_messages",true,[1,2,3,4,5,0,0,0,0,0],[0,0,0,70,0,70],'
    rb'"2026-11","bundled","provider","ok","end_turn"'
)


def test_a_receipt_is_written_by_position_behind_its_version() -> None:
    written = encode_receipt(RECEIPT)
    assert written.startswith(WRITTEN.replace(b"0,0,0,0,0],", b'0,0,0,0,0,"",0],'))
    assert msgspec.json.decode(written)[0] == 1


def test_what_the_first_version_wrote_is_read() -> None:
    assert decode_receipt(WRITTEN + b"]") == RECEIPT


def test_fields_that_a_newer_process_added_are_passed_over() -> None:
    written = encode_receipt(RECEIPT)[:-1]
    newer = written.replace(b"0,70]", b"0,70,9]").replace(b"0,0]", b"0,0,9]") + b',"of tomorrow",{"b":1}]'
    assert decode_receipt(newer) == RECEIPT


@pytest.mark.parametrize("payload", [b"", b"no receipt", b"{}", b"[]", b'[2,"req_1"]', WRITTEN[:100] + b"]"])
def test_what_is_no_receipt_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_receipt(payload)
