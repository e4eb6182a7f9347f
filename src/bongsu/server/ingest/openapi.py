"""The OpenAPI descriptions of the endpoints below FastAPI: POST /api/metrics, /api/v1/write and /v1/metrics."""

from typing import Any

# As the endpoints of FastAPI say it, so that generated clients send the token.
BEARER: dict[str, Any] = {"security": [{"HTTPBearer": []}]}
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
_LAYOUT = {
    "type": "object",
    "required": ["id", "series"],
    "properties": {
        "id": {
            "type": "string",
            "description": "1 to 2^63 - 1; a hash of the content, so that equal content has an equal id.",
        },
        "series": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["metric", "kind"],
                "properties": {
                    "metric": {"type": "string"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "unit": {"type": "string"},
                    "kind": {"type": "string", "enum": ["gauge", "counter", "delta"]},
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
            "description": "One for each series of the layout, in its order; null = no value.",
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
_CONTAINER_LIST = {
    "type": "object",
    "required": ["time_ms"],
    "properties": {
        "time_ms": {"type": "integer", "format": "int64"},
        "containers": {
            "type": "array",
            "description": "Those of now, and those that ended since the list before.",
            "items": {
                "type": "object",
                "required": ["id", "name"],
                "properties": {
                    **{
                        name: {"type": "string"}
                        for name in (
                            *("id", "name", "image", "workload", "runtime", "state", "health", "ports"),
                            *("namespace", "pod", "workload_kind", "pod_phase", "reason"),
                        )
                    },
                    **{name: {"type": "integer"} for name in ("exit_code", "restarts", "oom_kills", "processes")},
                    "cpu_ratio": {"type": "number", "description": "Share of one core; may exceed 1."},
                    **{name: {"type": "number"} for name in ("cpu_request_cores", "cpu_limit_cores")},
                    **{
                        name: {"type": "integer", "format": "int64"}
                        for name in (
                            *("memory_bytes", "memory_request_bytes", "memory_limit_bytes"),
                            *("created_ms", "started_ms", "finished_ms"),
                        )
                    },
                },
            },
        },
        "events": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["time_ms", "type", "container_id", "name"],
                "properties": {
                    "time_ms": {"type": "integer", "format": "int64"},
                    **{name: {"type": "string"} for name in ("type", "container_id", "name", "workload")},
                    "exit_code": {"type": "integer"},
                },
            },
        },
        "events_dropped": {"type": "integer"},
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
                "agent_id": {"type": "string", "description": "A UUID, generated once per installation."},
                "name": {"type": "string"},
                "version": {"type": "string"},
                "interval_ms": {
                    "type": "integer",
                    "description": "How often frames come: 1,000 to 3,600,000; 0: unknown.",
                },
            },
        },
        "host": {"type": "object"},
        "layouts": {"type": "array", "items": _LAYOUT},
        "frames": {"type": "array", "items": _FRAME},
        "process_lists": {"type": "array", "items": _PROCESS_LIST},
        "container_lists": {"type": "array", "items": _CONTAINER_LIST},
    },
}
_RESULT = {
    "type": "object",
    "required": ["accepted", "duplicates", "server_time_ms"],
    "properties": {
        "accepted": {"type": "integer"},
        "duplicates": {"type": "integer", "description": "Frames that were stored before; a retry is harmless."},
        "server_time_ms": {"type": "integer", "format": "int64"},
    },
}
_PROTOBUF = {"application/x-protobuf": {"schema": {"type": "string", "format": "binary"}}}

PUSH_OPENAPI: dict[str, Any] = {
    **BEARER,
    "tags": ["metrics"],
    "summary": "Push frames",
    "description": (
        "An agent sends its layout (the ordered list of its series) once, and then frames: layout id, time and values. "
        "The request is answered when all of it is on disk. Content-Type selects protobuf (`proto/metrics.proto`) or "
        "JSON; Content-Encoding may be gzip. 409 `unknown_layout`: send the request again with the layouts. Other 4xx: "
        "never send it again. 503: try again after Retry-After."
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
                "400": "Invalid; the error names the field and the limit.",
                "409": "A layout is unknown, or its id belongs to different content.",
                "413": "A limit is exceeded.",
                "415": "Unsupported Content-Type or Content-Encoding.",
                "503": "Cannot be stored now; try again after Retry-After.",
            }.items()
        },
    },
}

_WRITTEN = {
    f"X-Prometheus-Remote-Write-{what}-Written": {"schema": {"type": "integer"}}
    for what in ("Samples", "Histograms", "Exemplars")
}

REMOTE_WRITE_OPENAPI: dict[str, Any] = {
    **BEARER,
    "tags": ["metrics"],
    "summary": "Prometheus remote write",
    "description": (
        "For Prometheus, vmagent, Grafana Alloy and others that send remote write 1.0 or 2.0 (`proto=` in Content- "
        "Type). Needs an API token with the scope writer. The request is answered when its samples are on disk; "
        "sending it again is harmless. The server of a series is named by its label `host.name`, `k8s.node.name` "
        "or `instance` (without the port), else by the name of the token, and is added if it does not exist. 400: "
        "some samples cannot be stored, which the error explains; the others are, and the headers count them. "
        "Other 4xx: never send it again. 429 and 503: try again after Retry-After. Native histograms and exemplars "
        "are not stored."
    ),
    "operationId": "remote_write",
    "requestBody": {
        "required": True,
        "content": {"application/x-protobuf": {"schema": {"type": "string", "format": "binary"}}},
    },
    "responses": {
        "204": {"description": "All samples are stored.", "headers": _WRITTEN},
        **{
            status: {"description": text, "content": _ERROR, "headers": _WRITTEN}
            for status, text in {
                "400": "Malformed, or some samples cannot be stored.",
                "401": "The token is not valid, or may not write samples.",
                "413": "A limit is exceeded.",
                "415": "Unsupported Content-Type, or Content-Encoding is not snappy.",
                "429": "Too many requests of this token.",
                "503": "Cannot be stored now; try again after Retry-After.",
            }.items()
        },
    },
}

_ANY_OBJECT = {"application/json": {"schema": {"type": "object"}}}

OTLP_OPENAPI: dict[str, Any] = {
    **BEARER,
    "tags": ["metrics"],
    "summary": "OpenTelemetry metrics",
    "description": (
        "OTLP/HTTP: an ExportMetricsServiceRequest as protobuf or JSON, by Content-Type; Content-Encoding may be gzip. "
        "Needs an API token with the scope writer. Answered when its samples are on disk; `partial_success` tells how "
        "many data points could not be stored and why. The resource attribute `host.name` or `k8s.node.name` names "
        "the server, else the name of the token does. Names and labels become those that Prometheus has. Delta "
        "temporality is refused and exemplars are ignored. Errors are a `google.rpc.Status`."
    ),
    "operationId": "export_metrics",
    "requestBody": {"required": True, "content": {**_ANY_OBJECT, **_PROTOBUF}},
    "responses": {
        status: {"description": text, "content": {**_ANY_OBJECT, **_PROTOBUF}}
        for status, text in {
            "200": "Stored, but for what `partial_success` says.",
            "400": "Malformed.",
            "401": "The token is not valid, or may not write samples.",
            "413": "A limit is exceeded.",
            "415": "Unsupported Content-Type or Content-Encoding.",
            "429": "Too many requests of this token.",
            "503": "Cannot be stored now; try again after Retry-After.",
        }.items()
    },
}
