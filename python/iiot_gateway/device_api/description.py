"""The OpenAPI 3.1 description of the device API, made from the table of its calls."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec

from iiot_gateway.api.problem import PROBLEM_TYPE
from iiot_gateway.device_api.calls import Call

JSON = "application/json"
REFERENCE = "#/components/schemas/{name}"
PROBLEM = {"$ref": REFERENCE.format(name="Problem")}
EVERYWHERE = (429, 503)
WITH_KEY = (401, 403)
CONVERTOR = re.compile(r":whole\}")


def describe(calls: Iterable[Call]) -> dict[str, Any]:
    """Return `paths`, and the `components` that they refer to."""
    listed = list(calls)
    types = {kind for call in listed for kind in (call.takes, *(kind for kind, _ in call.gives.values())) if kind is not None}
    in_order = sorted(types, key=str)
    schemas, components = msgspec.json.schema_components(in_order, ref_template=REFERENCE)
    schema_of = dict(zip(map(str, in_order), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for call in listed:
        path = CONVERTOR.sub("}", call.address())
        paths.setdefault(path, {})[call.method.lower()] = _operation(call, schema_of)
    security = {"device_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
    return {"paths": paths, "components": {"schemas": _plain(components), "securitySchemes": security}}


def _operation(call: Call, schema_of: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{call.method.lower()} {CONVERTOR.sub('}', call.path)}",
        "summary": call.sentence,
        "description": f"Needs {call.keys}." if call.keys else "Needs no key.",
        "security": [{"device_key": []}] if call.keys else [{}],
        "responses": _responses(call, schema_of),
    }
    parameters = [{"name": name, "in": "path", "required": True, "schema": schema} for name, schema in call.parameters.items()]
    parameters += [
        {"name": each.name, "in": "query", "required": each.is_needed, "description": each.sentence, "schema": each.schema}
        for each in call.query
    ]
    if parameters:
        operation["parameters"] = parameters
    if call.takes_text:
        operation["requestBody"] = {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}
    if call.takes is not None:
        content = {JSON: {"schema": _plain(schema_of[str(call.takes)])}}
        operation["requestBody"] = {"required": not call.may_be_empty, "content": content}
    return operation


def _responses(call: Call, schema_of: dict[str, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status in sorted({*call.problems, *EVERYWHERE, *(WITH_KEY if call.keys else (403,))}):
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": {PROBLEM_TYPE: {"schema": PROBLEM}}}
    for status, (kind, sentence) in call.gives.items():
        if kind is None:
            responses[str(status)] = {"description": sentence}
            continue
        known = responses.get(str(status), {}).get("content", {})
        responses[str(status)] = {"description": sentence, "content": {JSON: {"schema": schema_of[str(kind)]}, **known}}
    if call.path == "devices/config" and call.method == "GET":
        responses["304"] = {"description": "The configuration has not changed."}
    return dict(sorted(responses.items()))


def _plain(schema: Any) -> Any:
    """Remove defaults of msgspec that JSON cannot express. A raw value may be anything."""
    if isinstance(schema, dict):
        return {key: _plain(value) for key, value in schema.items() if key != "default" or _is_json(value)}
    return [_plain(each) for each in schema] if isinstance(schema, list) else schema


def _is_json(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool | list | dict)
