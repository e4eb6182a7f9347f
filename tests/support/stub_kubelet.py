"""A kubelet and an API server in one: a real HTTPS server on loopback that answers as both do.

Its answers have the fields, the order and the forms that kubelets from 1.29 to 1.33 give in public examples, as far as
an agent reads them; names and values are made up. Like them it checks the token of each request.
"""

import json
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.cgroup_trees import full_id

TOKEN = "first-token"


def rfc3339(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def make_authority(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, as kubelets make for themselves. Needs openssl."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=node-a@1772352000", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "ca.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return folder


def uid_of(number: int) -> str:
    return f"0b6a1f0e-5d35-4d0c-9f7e-{number:012x}"


def group_of(number: int, container: int = 0) -> str:
    """The path of the control group, as systemd and containerd name it."""
    uid = uid_of(number).replace("-", "_")
    slice_ = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice"
    return f"{slice_}/cri-containerd-{full_id(number * 10 + container)}.scope"


def pod(
    number: int, name: str, *, namespace: str = "shop", owner: tuple[str, str] | None = None, hash: str = "",
    containers: tuple[str, ...] = ("app",), created: float = 0.0, requests: dict[str, str] | None = None,
    limits: dict[str, str] | None = None, phase: str = "Running", reason: str = "",
) -> dict[str, Any]:  # fmt: skip
    """A pod that runs, with its containers."""
    created = created or time.time() - 86_400
    resources = {"requests": requests or {"cpu": "100m", "memory": "64Mi"}, "limits": limits or {"memory": "128Mi"}}
    metadata = {
        "name": name, "namespace": namespace, "uid": uid_of(number), "creationTimestamp": rfc3339(created),
        "labels": {"app": name, **({"pod-template-hash": hash} if hash else {})},
        "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {}}],
    }  # fmt: skip
    if owner is not None:
        metadata["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": owner[0], "name": owner[1], "uid": uid_of(10**6), "controller": True}
        ]
    spec = {
        "containers": [
            {"name": each, "image": f"registry.example/{name}:1", "resources": resources} for each in containers
        ],
        "nodeName": "node-a",
    }
    status: dict[str, Any] = {"phase": phase, "startTime": rfc3339(created), "conditions": []}
    if reason:
        status["reason"] = reason
    else:
        status["containerStatuses"] = [
            container_status(each, number * 10 + index, created) for index, each in enumerate(containers)
        ]
    return {"metadata": metadata, "spec": spec, "status": status}


def container_status(name: str, id: int, started: float) -> dict[str, Any]:
    return {
        "name": name, "state": {"running": {"startedAt": rfc3339(started)}}, "lastState": {}, "ready": True,
        "restartCount": 0, "image": f"{name}:1", "imageID": f"{name}@sha256:1",
        "containerID": f"containerd://{full_id(id)}", "started": True,
    }  # fmt: skip


def restart(pod: dict[str, Any], new_id: int, *, exit_code: int = 1, reason: str = "Error", container: int = 0) -> None:
    """The container has ended and runs again, under another id of the runtime."""
    status = pod["status"]["containerStatuses"][container]
    now = time.time()
    ended = {
        "exitCode": exit_code, "reason": reason, "startedAt": status["state"]["running"]["startedAt"],
        "finishedAt": rfc3339(now), "containerID": status["containerID"],
    }  # fmt: skip
    status |= {
        "state": {"running": {"startedAt": rfc3339(now)}}, "lastState": {"terminated": ended},
        "restartCount": status["restartCount"] + 1, "containerID": f"containerd://{full_id(new_id)}",
    }  # fmt: skip


def node(**conditions: str) -> dict[str, Any]:
    told = {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True"} | conditions
    return {
        "kind": "Node", "apiVersion": "v1", "metadata": {"name": "node-a"}, "spec": {"podCIDR": "10.244.1.0/24"},
        "status": {
            "capacity": {"cpu": "4", "ephemeral-storage": "100Gi", "memory": "16384Mi", "pods": "110"},
            "allocatable": {"cpu": "3920m", "ephemeral-storage": "90Gi", "memory": "15Gi", "pods": "110"},
            "conditions": [{"type": kind, "status": status, "reason": "R"} for kind, status in told.items()],
        },
    }  # fmt: skip


class StubKubelet:
    """``answers``: path -> status and body, or what answers instead. ``authority``: a folder of ``make_authority``."""

    def __init__(self, authority: Path, token: str = TOKEN) -> None:
        self.authority = authority
        self.token = token
        self.pods: list[dict[str, Any]] = []
        self.usage: dict[str, tuple[float, int]] = {}
        self.rates: dict[str, float] = {}
        self.node = node()
        self.requests: list[str] = []
        self.answers: dict[str, tuple[int, bytes] | Callable[[BaseHTTPRequestHandler], None]] = {}
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                stub._answer(self)

            def log_message(self, format: str, *arguments: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority / "ca.pem", authority / "key.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = int(self._server.server_address[1])
        self.url = f"https://127.0.0.1:{self.port}"
        self._server.handle_error = lambda request, address: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def asked(self, path: str) -> int:
        """How often."""
        return self.requests.count(path)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        self.requests.append(path)
        told = self.answers.get(path)
        if handler.headers["Authorization"] != f"Bearer {self.token}":
            _send(handler, 401, b"Unauthorized")
        elif callable(told):
            told(handler)
        elif told is not None:
            _send(handler, *told)
        elif path == "/pods":
            listed = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self.pods}
            _send(handler, 200, json.dumps(listed).encode())
        elif path == "/stats/summary":
            _send(handler, 200, json.dumps(self._summary()).encode())
        elif path == "/api/v1/nodes/node-a":
            _send(handler, 200, json.dumps(self.node).encode())
        else:
            _send(handler, 404, b"404 page not found")

    def _summary(self) -> dict[str, Any]:
        """``usage``: container -> seconds of CPU and bytes; ``rates``: the share of a core that is added to it."""
        return {
            "node": {"nodeName": "node-a", "startTime": rfc3339(0)},
            "pods": [
                {
                    "podRef": {key: pod["metadata"][key] for key in ("name", "namespace", "uid")},
                    "startTime": pod["metadata"]["creationTimestamp"],
                    "containers": [self._stats(each["name"], pod) for each in pod["spec"]["containers"]],
                }
                for pod in self.pods
            ],
        }

    def _stats(self, name: str, pod: dict[str, Any]) -> dict[str, Any]:
        seconds, size = self.usage.get(name, (1.0, 10 * 1024**2))
        seconds += self.rates.get(name, 0.0) * int(time.time())
        now = rfc3339(time.time())
        return {
            "name": name, "startTime": pod["metadata"]["creationTimestamp"],
            "cpu": {"time": now, "usageNanoCores": 1000, "usageCoreNanoSeconds": round(seconds * 1e9)},
            "memory": {"time": now, "usageBytes": size * 2, "workingSetBytes": size, "rssBytes": size},
        }  # fmt: skip


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def hang(handler: BaseHTTPRequestHandler) -> None:
    """Until the other side gives up."""
    handler.connection.settimeout(30)
    try:
        handler.connection.recv(1)
    except (TimeoutError, OSError):
        return
    finally:
        handler.close_connection = True
