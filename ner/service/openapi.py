"""OpenAPI description of the service, generated from the classes of :mod:`ner.service.schema`."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

import ner
from ner.service import schema

ERRORS = {
    400: "The body is not JSON in UTF-8.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    422: "A field is not valid; `fields` names it.",
    429: "The queue is full; try again after `Retry-After` seconds.",
    500: "The model failed on this text.",
    503: "The service is loading or draining.",
    504: "No answer before the deadline.",
}
EXAMPLE = {"text": "Ada Lovelace lived in London."}
MODELS = (schema.TagRequest, schema.TagAnswer, schema.ErrorAnswer, schema.VersionAnswer)


@cache
def document() -> dict[str, Any]:
    """Return the description."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in MODELS], ref_template="#/components/schemas/{model}"
    )

    def content(model: type, **extra: Any) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, **extra}}

    def get(summary: str, *statuses: int, answer: dict[str, Any] | None = None) -> dict[str, Any]:
        responses: dict[str, Any] = {str(status): {"description": ERRORS.get(status, "OK.")} for status in statuses}
        if answer:
            responses["200"]["content"] = answer
        return {"get": {"summary": summary, "responses": responses}}

    responses: dict[str, Any] = {"200": {"description": "Predictions.", "content": content(schema.TagAnswer)}}
    for status, description in ERRORS.items():
        responses[str(status)] = {"description": description, "content": content(schema.ErrorAnswer)}
    tag = {
        "summary": "Annotate texts",
        "description": "Positions are characters (Unicode code points) of the text of the request, end exclusive.",
        "requestBody": {"required": True, "content": content(schema.TagRequest, example=EXAMPLE)},
        "responses": responses,
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "ner", "version": ner.__version__},
        "paths": {
            "/tag": {"post": tag},
            "/version": get("Served model", 200, 503, answer=content(schema.VersionAnswer)),
            "/readyz": get("Accepts requests", 200, 503),
            "/healthz": get("The process is alive", 200),
            "/metrics": get("Metrics for Prometheus", 200),
        },
        "components": {"schemas": schemas["$defs"]},
    }
