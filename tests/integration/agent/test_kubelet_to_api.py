"""From a kubelet to the API: an agent and an API server as processes, beside a kubelet on loopback."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent_fakes import linux_only
from tests.support.kubernetes_site import KubernetesSite, kubernetes_site
from tests.support.processes import wait_for
from tests.support.stub_kubelet import restart

pytestmark = linux_only

AT_ONCE = {"type": "threshold", "function": "increase", "window": "10m", "operator": ">=", "value": 1}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[KubernetesSite]:
    with kubernetes_site(tmp_path) as made:
        yield made


def test_pods_are_listed_measured_and_alerted_about(site: KubernetesSite) -> None:
    rule = {"name": "Restarting", "condition": AT_ONCE | {"metric": "workload_restarts_total"}}
    site.client.post("/api/alerts/rules", json=rule).raise_for_status()
    wait_for(lambda: site.get("/api/servers")["servers"][0]["kubernetes"], "a server that is a node")

    def containers(**wanted: str) -> dict[str, dict[str, Any]]:
        [listed] = site.get("/api/containers", runtime="kubernetes", **wanted)["servers"]
        return {one["name"]: one for one in listed["containers"]}

    assert containers(namespace="kube-system").keys() == {
        "kube-system/coredns-674b8bbfcf-5hvjq/coredns", "kube-system/kube-proxy-d7k2p/kube-proxy",
    }  # fmt: skip
    web = containers(workload="shop/web")
    assert len(web) == 3
    one = web["shop/web-5d4f8c7b9d-x2x7k/web"]
    assert (one["workload_kind"], one["pod_phase"], one["state"], one["health"]) == (
        "Deployment", "Running", "running", "healthy",
    )  # fmt: skip
    assert (one["cpu_request_cores"], one["cpu_limit_cores"]) == (0.25, 1.0)
    assert (one["memory_request_bytes"], one["memory_limit_bytes"]) == (256 << 20, 512 << 20)
    assert containers(pod="search-0")["shop/search-0/app"]["reason"] == "Evicted"

    def values(metric: str) -> dict[str, float]:
        answer = site.get("/api/metrics/current", metric=metric)
        series = [one for server in answer["servers"] for one in server["series"]]
        return {one["labels"].get("workload", one["labels"].get("condition", "")): one["value"] for one in series}

    wait_for(lambda: values("workload_memory_working_set_bytes").get("shop/web"), "memory, as the kubelet measured")
    assert values("workload_memory_working_set_bytes")["shop/web"] == 3 * 180 * 1024**2
    assert values("workload_pods")["shop/web"] == 3
    assert values("kubernetes_node_condition")["Ready"] == 1
    # What happens is in the list, in the events of the server, and in an alert that names the container.
    restart(site.kubelet.pods[0], 777, exit_code=137, reason="OOMKilled")

    def alert() -> dict[str, Any] | None:
        found = [one for one in site.get("/api/alerts/active")["alerts"] if one["rule_name"] == "Restarting"]
        return found[0] if found else None

    told = wait_for(alert, "an alert")
    assert told["series"] == 'workload_restarts_total{namespace="shop",workload="shop/web"}'
    explained = site.get(f"/api/alerts/{told['id']}")
    assert explained["containers"][0]["name"] == "shop/web-5d4f8c7b9d-x2x7k/web"
    kinds = {(event["type"], event["before"]) for event in site.get("/api/events", start="-1h")["events"]}
    assert kinds >= {("container_oom_killed", one["name"]), ("container_restarted", one["name"])}
