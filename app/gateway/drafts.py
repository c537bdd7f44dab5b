"""The receipt that is noted for a call before it goes out, to be booked should our process die."""

from app.domain.access import Principal
from app.domain.catalog import Deployment
from app.domain.pricing import cost_of
from app.domain.spend import Receipt
from app.domain.usage import Usage
from app.gateway.attribution import (
    AGENT_HEADER,
    AGENT_TYPE_HEADER,
    PARENT_AGENT_HEADER,
    PROMPT_HEADER,
    SESSION_HEADER,
    class_of,
    client_of,
    header_text,
    project_of,
)
from app.gateway.call import Call
from app.gateway.estimate import Estimate
from app.protocols.codec import Envelope


def draft_receipt(  # noqa: PLR0913  the parts of a receipt
    call: Call,
    principal: Principal,
    envelope: Envelope,
    deployment: Deployment,
    most: Estimate,
    protocol_out: str,
    tags: tuple[str, ...],
) -> Receipt:
    """What is booked should our process die. A streamed answer ends with its connection, so only its input and what
    was counted by then are taken to be spent; a whole one is computed to its end, so all that is held."""
    key = principal.key
    headers = dict(call.headers)
    usage = Usage(input=most.usage.input) if envelope.stream else most.usage
    return Receipt(
        request_id=call.request_id,
        attempt=1,
        started_at=call.started_at,
        duration_ms=0,
        first_byte_ms=None,
        organization_id=key.organization_id,
        team_id=key.team_id,
        user_id=key.user_id,
        key_id=key.key_id,
        customer_id=envelope.customer,
        tags=tags,
        session_id=header_text(headers.get(SESSION_HEADER)) or envelope.session_id,
        agent_id=header_text(headers.get(AGENT_HEADER)) or None,
        route=call.route,
        model_asked=envelope.model,
        model_served=deployment.upstream_model,
        provider=deployment.provider,
        deployment_id=deployment.deployment_id,
        protocol_in=call.codec.name,
        protocol_out=protocol_out,
        streamed=envelope.stream,
        usage=usage,
        cost=cost_of(usage, most.price),
        price_version=most.price.version,
        price_source=most.price.source,
        usage_source="estimated",
        status="cut",
        finish_reason=None,
        request_class=class_of(headers, envelope),
        project=project_of(tags, principal),
        parent_agent_id=header_text(headers.get(PARENT_AGENT_HEADER)) or None,
        agent_type=header_text(headers.get(AGENT_TYPE_HEADER)) or None,
        prompt_id=header_text(headers.get(PROMPT_HEADER)) or None,
        client=client_of(headers),
        project_id=key.project_id,
    )
