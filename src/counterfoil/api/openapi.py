"""OpenAPI 3.1, assembled from the route table and the wire types; nothing of the interface is written a second time."""

from collections.abc import Iterable
from typing import Any

import msgspec

from counterfoil.api.routes import Route
from counterfoil.model.verdict import Reason
from counterfoil.version import __version__
from counterfoil.wire import problems as kinds
from counterfoil.wire.problems import CONTENT_TYPE, Problem, ProblemKind

_REF = "#/components/schemas/{name}"
_REQUEST_ID = {"description": "Names this request in the service's log.", "schema": {"type": "string"}}
_RETRY_AFTER = {"description": "Seconds to wait before asking again.", "schema": {"type": "integer"}}
_SAYS_WHEN = (429, 503)
# What a body to try has. Of the other fields a tool would make up values, and be refused for them.
_IN_EXAMPLES = ("client_id", "passcode", "context", "transaction")
_TAGS = {
    "/v1/caller": "service",
    **dict.fromkeys(("/v1/journal", "/v1/refusals", "/v1/keys", "/v1/credentials", "/v1/health"), "operating"),
    "/v1/": "passcodes",
    "/dev/": "test mode",
}


def openapi_document(routes: Iterable[Route]) -> bytes:
    """The document as JSON."""
    routes = tuple(routes)
    types = {kind for route in routes for kind in (route.body, route.answer) if kind is not None} | {Problem}
    ordered = sorted(types, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Counterfoil",
            "version": __version__,
            "summary": "One-time passcodes for transactions",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "credential": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A credential of the right role: `cfi_…` issuer, `cfv_…` validator, `cfo_…` operator.",
                }
            },
        },
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [_tag(route)],
        "security": [{"credential": []}] if route.roles else [],
        "responses": _responses(route),
    }
    if route.description:
        operation["description"] = route.description
    if route.roles:
        operation["x-roles"] = sorted(route.roles)
    if route.body is not None:
        content = {"schema": _ref(route.body), "example": _example(schemas[route.body.__name__])}
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    parameters = [
        {
            "name": parameter.name,
            "in": "query",
            "required": parameter.required,
            "description": parameter.description,
            "schema": dict(parameter.schema),
        }
        for parameter in route.parameters
    ]
    if route.takes_redemption_id:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "The redemption id: random, made and stored by the caller before the call.",
                "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
            }
        )
    if parameters:
        operation["parameters"] = parameters
    return operation


def _example(schema: dict[str, Any]) -> dict[str, Any]:
    """A body to begin with, of its fields' own examples. Raises KeyError where a field that is required has none."""
    shown = (*schema["required"], *_IN_EXAMPLES)
    return {name: field["examples"][0] for name, field in schema["properties"].items() if name in shown}


def _responses(route: Route) -> dict[str, Any]:
    success: dict[str, Any] = {"description": route.summary}
    if route.answer is not None:
        success["content"] = {"application/json": {"schema": _ref(route.answer)}}
    elif route.status == 200:
        of_type = "object" if route.content_type == "application/json" else "string"
        success["content"] = {route.content_type: {"schema": {"type": of_type}}}
    responses: dict[str, Any] = {str(route.status): success}
    by_status: dict[int, list[ProblemKind]] = {}
    for kind in (*_general_problems(route), *route.problems):
        by_status.setdefault(kind.status, []).append(kind)
    for status, group in sorted(by_status.items()):
        responses[str(status)] = {
            **({"headers": {"Retry-After": _RETRY_AFTER}} if status in _SAYS_WHEN else {}),
            "description": "; ".join(f"`{kind.code}`: {kind.title}" for kind in group),
            "content": {CONTENT_TYPE: {"schema": _ref(Problem)}},
        }
    for response in responses.values():
        response.setdefault("headers", {})["Request-Id"] = _REQUEST_ID
    if "409" in responses:
        reasons = ", ".join(f"`{reason}`" for reason in Reason)
        responses["409"]["description"] += f". `reason` is one of {reasons}."
    return responses


def _general_problems(route: Route) -> tuple[ProblemKind, ...]:
    authenticated = (kinds.UNAUTHENTICATED, kinds.FORBIDDEN) if route.roles else ()
    read = (kinds.INVALID_REQUEST,) if route.body or route.parameters else ()
    body = (kinds.WRONG_CONTENT_TYPE,) if route.body else ()
    return (*read, *authenticated, kinds.TIMED_OUT, kinds.TOO_LARGE, *body, kinds.HEAD_TOO_LARGE, kinds.INTERNAL_ERROR)


def _tag(route: Route) -> str:
    by_prefix = (tag for prefix, tag in _TAGS.items() if route.path.startswith(prefix))
    return next(by_prefix, "reference sample" if route.roles else "service")


def _operation_id(route: Route) -> str:
    words = route.path.strip("/").replace(".", "/").replace("-", "/").split("/")
    return "_".join([route.method.lower(), *words])


def _ref(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}
