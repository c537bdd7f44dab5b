"""Records that the tests of the data plane start from."""

from datetime import UTC, datetime

from app.base.ids import DeploymentId, KeyId
from app.base.secret import Secret
from app.domain.catalog import Deployment, Timeouts
from app.domain.keys import VirtualKey
from app.domain.pricing import NO_COST, PriceSheet, Rates, always
from app.domain.spend import Receipt
from app.domain.usage import Usage

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY = VirtualKey(key_id=KeyId("key_1"), last_four="abcd", created_at=NOW)
SHEET = PriceSheet(
    version="test:1",
    source="config",
    rates=Rates(
        input=3_000_000_000,
        output=15_000_000_000,
        cache_read=300_000_000,
        cache_write_5m=3_750_000_000,
        cache_write_1h=6_000_000_000,
        reasoning=15_000_000_000,
        audio_input=3_000_000_000,
        audio_output=15_000_000_000,
    ),
)
DEPLOYMENT = Deployment(
    deployment_id=DeploymentId("dep_1"),
    provider="anthropic",
    upstream_model="claude-sonnet-4-5",
    api_base="https://provider.example",
    api_key=Secret("sk-ant-provider"),
    prices=always(SHEET),
    timeouts=Timeouts(connect_s=1, first_byte_s=2, idle_s=2, total_s=10),
)
RECEIPT = Receipt(
    request_id="req_1",
    attempt=1,
    started_at=NOW,
    duration_ms=0,
    first_byte_ms=None,
    organization_id=None,
    team_id=None,
    user_id=None,
    key_id="key_1",
    customer_id=None,
    tags=(),
    session_id=None,
    agent_id=None,
    route="/v1/messages",
    model_asked="claude-sonnet-4-5",
    model_served="claude-sonnet-4-5",
    provider="anthropic",
    deployment_id="dep_1",
    protocol_in="anthropic_messages",
    protocol_out="anthropic_messages",
    streamed=True,
    usage=Usage(input=100, output=1000),
    cost=NO_COST,
    price_version="test:1",
    price_source="config",
    usage_source="estimated",
    status="cut",
    finish_reason=None,
)
