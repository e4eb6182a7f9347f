"""POST /api/metrics in the OpenAPI document; the endpoint itself is below FastAPI."""

from typing import Any

_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
_LAYOUT = {
    "type": "object",
    "required": ["id", "series"],
    "properties": {
        "id": {"type": "string", "description": "1 to 2^63 - 1, chosen so that equal content has an equal id."},
        "series": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["metric", "kind"],
                "properties": {
                    "metric": {"type": "string"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "unit": {"type": "string"},
                    "kind": {"type": "string", "enum": ["gauge", "counter"]},
                },
            },
        },
    },
}
_FRAME = {
    "type": "object",
    "required": ["layout_id", "time_ms", "values"],
    "properties": {
        "layout_id": {"type": "string"},
        "time_ms": {"type": "integer", "format": "int64"},
        "values": {
            "type": "array",
            "description": "As many as the layout has series, in its order; null = no value.",
            "items": {"type": ["number", "null"]},
        },
    },
}
_PROCESS_LIST = {
    "type": "object",
    "required": ["time_ms", "processes"],
    "properties": {
        "time_ms": {"type": "integer", "format": "int64"},
        "processes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pid", "name"],
                "properties": {
                    "pid": {"type": "integer"},
                    "name": {"type": "string"},
                    "user": {"type": "string"},
                    "cpu_ratio": {"type": "number", "description": "Share of one core; may exceed 1."},
                    "memory_bytes": {"type": "integer", "format": "int64"},
                    "threads": {"type": "integer"},
                    "started_ms": {"type": "integer", "format": "int64"},
                },
            },
        },
    },
}
_PUSH = {
    "type": "object",
    "required": ["agent"],
    "properties": {
        "agent": {
            "type": "object",
            "required": ["agent_id", "name"],
            "properties": {
                "agent_id": {"type": "string", "description": "A UUID made once per installation."},
                "name": {"type": "string"},
                "version": {"type": "string"},
                "interval_ms": {"type": "integer"},
            },
        },
        "host": {"type": "object"},
        "layouts": {"type": "array", "items": _LAYOUT},
        "frames": {"type": "array", "items": _FRAME},
        "process_lists": {"type": "array", "items": _PROCESS_LIST},
    },
}
_RESULT = {
    "type": "object",
    "required": ["accepted", "duplicates", "server_time_ms"],
    "properties": {
        "accepted": {"type": "integer"},
        "duplicates": {"type": "integer", "description": "Frames that were stored already: a retry is harmless."},
        "server_time_ms": {"type": "integer", "format": "int64"},
    },
}
_PROTOBUF = {"application/x-protobuf": {"schema": {"type": "string", "format": "binary"}}}

PUSH_OPENAPI: dict[str, Any] = {
    "tags": ["metrics"],
    "summary": "Push frames",
    "description": (
        "An agent sends its layout (the ordered list of its series) once, and then frames: layout id, time and values. "
        "Answered when all of it is on disk. Protobuf (`proto/metrics.proto`) or JSON, by Content-Type; gzip by "
        "Content-Encoding. 409 `unknown_layout`: send it again with the layouts. Other 4xx: never send it again. "
        "503: later, see Retry-After."
    ),
    "operationId": "push_metrics",
    "requestBody": {"required": True, "content": {"application/json": {"schema": _PUSH}, **_PROTOBUF}},
    "responses": {
        "200": {
            "description": "All of it is stored.",
            "content": {"application/json": {"schema": _RESULT}, **_PROTOBUF},
        },
        **{
            status: {"description": text, "content": {**_ERROR, **_PROTOBUF}}
            for status, text in {
                "400": "Not valid: the error names the field and the limit.",
                "409": "A layout is not known, or its id stands for other content.",
                "413": "Larger than a limit.",
                "415": "Another Content-Type or Content-Encoding.",
                "503": "Cannot be stored now; try again after Retry-After.",
            }.items()
        },
    },
}
