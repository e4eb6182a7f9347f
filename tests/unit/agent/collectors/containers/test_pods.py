"""What the kubelet's answers are read as."""

import json
import math
import tracemalloc
from typing import Any

import pytest

from bongsu.agent.collectors.containers.details import time_ms
from bongsu.agent.collectors.containers.groups import Group
from bongsu.agent.collectors.containers.node import read_node
from bongsu.agent.collectors.containers.pods import (
    Details,
    Pod,
    Sample,
    pods_of_list,
    quantity,
    read_pod,
    read_summary,
    size_bytes,
)
from tests.support.cgroup_trees import full_id
from tests.support.repository import REPOSITORY
from tests.support.stub_kubelet import group_of, node, pod, uid_of

PODS = (REPOSITORY / "tests/fixtures/kubernetes/pods.json").read_text()
MiB = 1024**2


def read() -> dict[str, Pod]:
    return {read.containers[0].pod: read for read in map(read_pod, pods_of_list(PODS))}


def described(details: Details) -> dict[str, Any]:
    return {name: value for name, value in details._asdict().items() if value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250m", 0.25), ("2", 2.0), ("0.5", 0.5), (".5", 0.5), ("1e3", 1000.0), ("1E3", 1000.0), ("1E", 1e18),
        ("64Mi", 64 * MiB), ("128974848", 128974848.0), ("129M", 129e6), ("128974848000m", 128974848.0), ("1500u", 0.0015),
        ("100n", 1e-7), ("4k", 4000.0), ("-1", 0.0), (None, 0.0), (3, 3.0),
    ],
)  # fmt: skip
def test_quantities(text: Any, value: float) -> None:
    assert quantity(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "1 Gi", "abc", "1KiB", "--1", "0x10"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity(text)


def test_a_quantity_that_no_number_holds() -> None:
    assert size_bytes("9999Ei") == 2**63 - 1


def test_a_container_that_runs_with_its_requests() -> None:
    proxy_first = {each.name.rpartition("/")[2]: each for each in read()["web-5d4f8c7b9d-x2x7k"].containers}
    assert described(proxy_first["web"]) == {
        "id": "0b6a1f0e-5d35-4d0c-9f7e-0c5b8a1d2e01/web", "name": "shop/web-5d4f8c7b9d-x2x7k/web",
        "image": "registry.example/shop/web:2.1", "workload": "shop/web", "runtime": "kubernetes", "state": "running",
        "health": "healthy", "restarts": 3, "ports": "8080/tcp, 0.0.0.0:5353->53/udp",
        "created_ms": time_ms("2026-03-01T08:00:00Z"), "started_ms": time_ms("2026-03-01T09:00:01Z"),
        "namespace": "shop", "pod": "web-5d4f8c7b9d-x2x7k", "workload_kind": "Deployment", "pod_phase": "Running",
        "cpu_request_cores": 0.25, "cpu_limit_cores": 1.5, "memory_request_bytes": 256 * MiB,
        "memory_limit_bytes": 512 * MiB, "runtime_id": full_id(1)[:64],
    }  # fmt: skip
    # A side car stays beside it; what prepared the pod has done its work.
    assert proxy_first.keys() == {"web", "proxy"}
    web = read()["web-5d4f8c7b9d-x2x7k"]
    assert web.completed == {"0b6a1f0e-5d35-4d0c-9f7e-0c5b8a1d2e01/migrate"}
    assert web.ends["0b6a1f0e-5d35-4d0c-9f7e-0c5b8a1d2e01/web"].reason == "OOMKilled"
    # The scheduler counts the larger of both: 1 for the migration, or 0.25 + 0.05 beside each other; 256 + 32 MiB.
    assert (web.cpu_request_cores, web.memory_request_bytes) == (1.0, 288 * MiB)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("backup-29012345-q8r4t", ("shop/backup", "CronJob", "Succeeded", "exited", "Completed", 0)),
        ("kube-proxy-node-a", ("kube-system/kube-proxy", "Node", "Running", "running", "", 0)),
        ("search-0", ("shop/search", "StatefulSet", "Failed", "exited", "Evicted", 0)),
        ("thumbs-7f6b9c5d44-2mkzp", ("shop/thumbs", "Deployment", "Running", "restarting", "CrashLoopBackOff", 2)),
    ],
)
def test_workloads_and_states(name: str, expected: tuple[str, str, str, str, str, int]) -> None:
    [told] = read()[name].containers
    assert (told.workload, told.workload_kind, told.pod_phase, told.state, told.reason, told.exit_code) == expected


def test_a_pod_without_status_of_its_containers() -> None:
    evicted = read()["search-0"]
    assert evicted.is_evicted
    assert evicted.containers[0].finished_ms == time_ms("2026-03-01T08:30:00Z")
    assert evicted.has_ended


@pytest.mark.parametrize(
    ("owner", "hash", "workload", "kind"),
    [
        pytest.param(None, "", "web-1", "Pod", id="one of its own"),
        pytest.param(("ReplicaSet", "web-abc"), "", "web", "ReplicaSet", id="a replica set of its own"),
        pytest.param(("ReplicaSet", "web-abc"), "abc", "web", "Deployment", id="a deployment"),
        pytest.param(("DaemonSet", "web"), "", "web", "DaemonSet", id="a daemon set"),
        pytest.param(("Job", "web-2026"), "", "web-2026", "Job", id="a job whose name ends with a year"),
        pytest.param(("Job", "web-29012345"), "", "web", "CronJob", id="a cron job"),
        pytest.param(("Node", "1"), "", "web", "Node", id="the mirror of a static pod"),
        pytest.param(("Workflow", "web"), "", "web", "Workflow", id="another kind"),
    ],
)
def test_owners(owner: tuple[str, str] | None, hash: str, workload: str, kind: str) -> None:
    [told] = read_pod(pod(1, "web-1", owner=owner, hash=hash)).containers
    if kind == "ReplicaSet":
        workload = "web-abc"
    assert (told.workload, told.workload_kind) == (f"shop/{workload}", kind)


def test_readiness() -> None:
    made = pod(1, "web")
    status = made["status"]["containerStatuses"][0]
    status["ready"] = False
    assert read_pod(made).containers[0].health == "unhealthy"
    status["started"] = False  # by its startup probe
    assert read_pod(made).containers[0].health == "starting"
    made["metadata"]["deletionTimestamp"] = "2026-03-01T09:00:00Z"
    assert read_pod(made).containers[0].health == ""


def test_odd_names_are_made_fit_for_the_wire() -> None:
    made = pod(1, "x" * 253, namespace="n" * 63, containers=("c" * 63,))
    made["spec"]["containers"][0]["image"] = "bad\nimage\ud800"
    [told] = read_pod(made).containers
    assert len(told.name.encode()) == 256
    assert told.image == "bad\\nimage?"


@pytest.mark.parametrize(
    "broken",
    [{}, {"metadata": {}}, {"metadata": {"uid": 5, "name": "x", "namespace": "y"}, "spec": {}}, [], "text", None],
)
def test_what_is_no_pod(broken: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        read_pod(broken)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"kind":"PodList","items":[]}', []),
        ('{"kind":"PodList","items":null}', []),
        ('{"items" : [ {"a":1} ,\n {"a":2} ] }', [{"a": 1}, {"a": 2}]),
    ],
)
def test_lists(text: str, names: list[Any]) -> None:
    assert list(pods_of_list(text)) == names


@pytest.mark.parametrize("text", ["", "<html>", '{"items":{', '{"items":[{"a":1}', '{"items":[{"a":', "[" * 100])
def test_what_is_no_list(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(pods_of_list(text))


def test_a_large_list_is_read_one_pod_after_the_other() -> None:
    made = pod(1, "web")
    made["metadata"]["managedFields"] = [{"fieldsV1": {f"f:{index}": {".": {}} for index in range(200)}}]
    text = json.dumps({"items": [made] * 250})
    tracemalloc.start()
    count = sum(bool(read_pod(each).containers) for each in pods_of_list(text))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 250
    assert peak < len(text)


def summary() -> dict[str, Any]:
    def stats(name: str, seconds: float) -> dict[str, Any]:
        time = "2026-03-01T09:00:10Z"
        return {
            "name": name, "startTime": time, "cpu": {"time": time, "usageCoreNanoSeconds": int(seconds * 1e9)},
            "memory": {"time": time, "workingSetBytes": 5},
        }  # fmt: skip

    return {
        "node": {"nodeName": "node-a"},
        "pods": [
            {
                "podRef": {"name": "web-5d4f8c7b9d-x2x7k", "namespace": "shop", "uid": uid_of(1)},
                "startTime": "2026-03-01T08:00:00Z",
                "containers": [stats("web", 12.5)],
            },
            {
                "podRef": {"name": "db-0", "namespace": "shop", "uid": uid_of(2)},
                "containers": [stats("db", 1), {"name": "young", "startTime": None}],
            },
            {"podRef": {"name": "new", "namespace": "shop", "uid": uid_of(3)}},
        ],
    }


def test_the_summary_names_what_it_can() -> None:
    found, samples = read_summary(summary(), {})
    assert [(each.name, each.workload, each.restarts, each.state) for each in found] == [
        ("shop/web-5d4f8c7b9d-x2x7k/web", "shop/web", -1, ""),
        ("shop/db-0/db", "shop/db", -1, ""),
        ("shop/db-0/young", "shop/db", -1, ""),
    ]
    at = time_ms("2026-03-01T09:00:10Z") / 1000
    assert samples == {f"{uid_of(1)}/web": Sample(at, 12.5, 5), f"{uid_of(2)}/db": Sample(at, 1.0, 5)}


def test_the_summary_beside_control_groups() -> None:
    groups = {uid_of(1): [full_id(10)], uid_of(2): [full_id(20), full_id(21)]}
    found, _ = read_summary(summary(), groups)
    # Which is which of a pod with two, it does not tell.
    assert [(each.name, each.runtime_id) for each in found] == [
        ("shop/web-5d4f8c7b9d-x2x7k/web", full_id(10)),
        (f"shop/db-0/{full_id(20)[:12]}", full_id(20)),
        (f"shop/db-0/{full_id(21)[:12]}", full_id(21)),
    ]


@pytest.mark.parametrize(
    ("path", "uid"),
    [
        (group_of(7), uid_of(7)),
        (f"/kubepods/burstable/pod{uid_of(7)}/{full_id(1)}", uid_of(7)),
        (f"/kubepods/pod5e0f7d7a94b4c1d2e3f405162738495a/{full_id(1)}", "5e0f7d7a94b4c1d2e3f405162738495a"),
        (f"/system.slice/docker-{full_id(1)}.scope", ""),
    ],
)
def test_the_pod_of_a_control_group(path: str, uid: str) -> None:
    assert Group("x", "kubernetes", path).pod_uid == uid


def test_a_node() -> None:
    made = node(MemoryPressure="True", PIDPressure="Unknown", Ready="Unknown")
    made["spec"]["unschedulable"] = True
    told = read_node(made)
    assert (told.pods, told.cpu_cores, told.memory_bytes, told.is_unschedulable) == (110, 3.92, 15 * 1024**3, True)
    assert told.conditions["MemoryPressure"] == 1
    assert told.conditions["DiskPressure"] == 0
    # Nobody can tell.
    assert told.conditions["Ready"] == 0
    assert math.isnan(told.conditions["PIDPressure"])
