"""The routes of credentials, with LiteLLM's paths, fields and answers; their secrets go in and never come out."""

from typing import Any

from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.di import NamedDependency

from app.admin.credentials import Credentials, CredentialTerms, CredentialView
from app.api.admin import fields
from app.api.admin.answers import answer
from app.api.admin.fields import MOST_BODY_BYTES, Body, check_names, is_null, read_body
from app.api.admin.model_fields import read_object
from app.api.admin.queries import path_text
from app.api.admin.term_fields import require_text
from app.api.security import Access
from app.base.errors import Unprocessable

AnyRequest = Request[Any, Any, Any]
HINT = "see GET /credentials"
_NOT_ENFORCED = frozenset({"display_name", "model_id"})


class CredentialRoutes(Controller):
    """Admins alone."""

    path = "/credentials"
    request_max_body_size = MOST_BODY_BYTES

    @post("", status_code=200)
    async def create(
        self, request: AnyRequest, access: NamedDependency[Access], credentials: NamedDependency[Credentials]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        name, terms = require_text(body, "credential_name", HINT), _read_terms(body)
        if "/" in name:
            raise Unprocessable('"credential_name" may not hold "/"', param="credential_name")
        if not terms.values:
            raise Unprocessable('"credential_values" is missing: give {"api_key": "…"}', param="credential_values")
        made = await credentials.create(name, terms, actor)
        return answer({"success": True, "message": "Credential created successfully", **_render(made)})

    @get("")
    async def list_credentials(
        self, request: AnyRequest, access: NamedDependency[Access], credentials: NamedDependency[Credentials]
    ) -> Response[bytes]:
        await access.require_admin(request)
        return answer({"success": True, "credentials": [_render(view) for view in await credentials.list()]})

    @get(["/by_name/{credential_name:str}", "/by_model/{model_id:str}"])
    async def one(
        self, request: AnyRequest, access: NamedDependency[Access], credentials: NamedDependency[Credentials]
    ) -> Response[bytes]:
        await access.require_admin(request)
        if "model_id" in request.path_params:
            return answer(_render(await credentials.of_model(path_text(request, "model_id"))))
        return answer(_render(await credentials.get(path_text(request, "credential_name"))))

    @patch("/{credential_name:str}", status_code=200)
    async def update(
        self, request: AnyRequest, access: NamedDependency[Access], credentials: NamedDependency[Credentials]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        name, terms = path_text(request, "credential_name"), _read_terms(body)
        if "credential_name" in body and require_text(body, "credential_name", HINT) != name:
            raise Unprocessable('"credential_name" cannot be changed: models refer to it', param="credential_name")
        changed = await credentials.update(name, terms, actor)
        return answer({"success": True, "message": "Credential updated successfully", **_render(changed)})

    @delete("/{credential_name:str}", status_code=200)
    async def delete(
        self, request: AnyRequest, access: NamedDependency[Access], credentials: NamedDependency[Credentials]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        await credentials.delete(path_text(request, "credential_name"), actor)
        return answer({"success": True, "message": "Credential deleted successfully"})


def _read_terms(body: Body) -> CredentialTerms:
    check_names(
        body,
        {"credential_name", "credential_values", "credential_info", "credential_values_to_delete"},
        _NOT_ENFORCED,
    )
    removed, info = body.get("credential_values_to_delete", b"null"), body.get("credential_info", b"null")
    return CredentialTerms(
        values=read_object("credential_values", body),
        info=None if is_null(info) else fields.read_metadata("credential_info", info),
        removed=() if is_null(removed) else fields.read_texts("credential_values_to_delete", removed),
    )


def _render(view: CredentialView) -> dict[str, Any]:
    stored = view.stored
    return {
        "credential_name": stored.name,
        "display_name": None,
        "credential_info": stored.metadata,
        "credential_values": view.values,
        "source": "db",
        "created_at": stored.created_at,
        "created_by": stored.created_by,
        "updated_at": stored.updated_at,
        "updated_by": stored.updated_by,
    }
