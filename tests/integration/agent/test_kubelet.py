"""The collector of containers beside a kubelet: a real HTTPS server on loopback."""

import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

import bongsu.agent.collectors.containers.kubelet as module
from bongsu.agent.collectors.base import Filter
from bongsu.agent.collectors.containers import kubernetes_api
from bongsu.agent.collectors.containers.kubernetes_api import find_access, parse_kubelet
from bongsu.core.errors import ConfigError
from bongsu.core.samples import Container
from tests.support.agent_fakes import linux_only, wait_for
from tests.support.cgroup_trees import MiB, Tree, full_id
from tests.support.driven_containers import HOUR, Driven
from tests.support.programs import need
from tests.support.stub_docker import StubDocker
from tests.support.stub_kubelet import TOKEN, StubKubelet, group_of, hang, make_authority, node, pod, restart, uid_of

pytestmark = linux_only

WEB = ("ReplicaSet", "web-5d4f8c7b9d")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("openssl")
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.01)
    monkeypatch.setattr(module, "NODE_SECONDS", 0.05)


class Site:
    """A node: its kubelet and API server, its control groups, and the collector there."""

    def __init__(self, folder: Path, authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stub = StubKubelet(authority)
        self.tree = Tree(folder)
        self.token_file = folder / "token"
        self.token_file.write_text(TOKEN)
        self.settings: dict[str, Any] = {
            "kubelet": self.stub.url,
            "kubelet_ca_file": str(authority / "ca.pem"),
            "kubelet_token_file": str(self.token_file),
        }
        monkeypatch.setattr(kubernetes_api, "SERVICE_ACCOUNT", str(folder))
        (folder / "ca.crt").write_bytes((authority / "ca.pem").read_bytes())
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(self.stub.port))
        self.driven: Driven

    def start(self, sockets: tuple[str, ...] = (), **filters: Filter) -> dict[str, float]:
        self.driven = Driven(self.tree, sockets, self.settings, **filters)
        # Its clock is not ours, by which the kubelet tells when something happened.
        self.driven.now = time.time() // HOUR * HOUR
        self.driven.collector._began_ms = time.time() * 1000
        first = self.driven.tick()
        assert self.kubelet.answered.wait(30)
        return first

    @property
    def kubelet(self) -> module.Kubelet:
        kubelet = self.driven.collector._kubelet
        assert kubelet is not None
        return kubelet

    def answered_again(self, path: str = "/pods") -> None:
        """Until a question that began after the call is answered."""
        asked = self.stub.asked(path)
        wait_for(lambda: self.stub.asked(path) >= asked + 2)

    def listed(self) -> dict[str, Container]:
        return {row.name: row for row in self.driven.lists[-1].containers}


@pytest.fixture
def site(tmp_path: Path, authority: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(tmp_path, authority, monkeypatch)
    yield made
    if hasattr(made, "driven"):
        made.driven.collector.close()
        made.kubelet._thread.join(20)
    made.stub.close()


def test_workloads_have_what_they_use_beside_what_they_request(site: Site) -> None:
    for number in (1, 2):
        requests, limits = {"cpu": "250m", "memory": "64Mi"}, {"cpu": "1", "memory": "128Mi"}
        made = pod(number, f"web-5d4f8c7b9d-{number}", owner=WEB, hash="5d4f8c7b9d", requests=requests, limits=limits)
        site.stub.pods.append(made)
        site.tree.group(group_of(number), cpu=10, memory=50 * MiB, inactive=0, limit=128 * MiB, pids=(number + 10,))
    site.stub.pods[1]["status"]["containerStatuses"][0] |= {"ready": False, "started": False}
    site.start()
    for number in (1, 2):
        site.tree.group(group_of(number), cpu=15, memory=50 * MiB, inactive=0, limit=128 * MiB)
    wait_for(lambda: site.kubelet.node)
    readings = site.driven.tick()
    label = "[shop][shop/web]"
    expected = {
        "workload_containers": 2,
        "workload_cpu_usage_ratio": pytest.approx(1.0),  # twice (15 - 10) / 10
        "workload_memory_working_set_bytes": 100 * MiB,
        "workload_memory_limit_used_ratio": 50 / 128,
        "workload_oom_kills_total": 0,
        "workload_restarts_total": 0,
        "workload_failures_total": 0,
        "workload_unhealthy_containers": 0,
        "workload_pods": 2,
        "workload_pods_ready": 1,
        "workload_cpu_request_cores": 0.5,
        "workload_cpu_limit_cores": 2,
        "workload_memory_request_bytes": 128 * MiB,
        "workload_memory_limit_bytes": 256 * MiB,
        "workload_evictions_total": 0,
    }
    assert {name: readings[name + label] for name in expected} == expected
    assert {name for name in readings if name.endswith(label)} == {name + label for name in expected}
    of_node = {name.removeprefix("kubernetes_node_"): value for name, value in readings.items() if "_node_" in name}
    assert of_node == {
        "pods": 2, "cpu_request_cores": 0.5, "memory_request_bytes": 128 * MiB, "pods_allocatable": 110,
        "cpu_allocatable_cores": 3.92, "memory_allocatable_bytes": 15 * 1024 * MiB, "unschedulable": 0,
        "condition[MemoryPressure]": 0, "condition[DiskPressure]": 0, "condition[PIDPressure]": 0, "condition[Ready]": 1,
    }  # fmt: skip
    assert readings["kubernetes_kubelet_errors_total"] == 0
    row = site.listed()["shop/web-5d4f8c7b9d-1/app"]
    assert (row.namespace, row.pod, row.workload, row.workload_kind) == (
        "shop", "web-5d4f8c7b9d-1", "shop/web", "Deployment",
    )  # fmt: skip
    assert (row.cpu_request_cores, row.cpu_limit_cores, row.memory_request_bytes) == (0.25, 1.0, 64 * MiB)
    assert (row.memory_limit_bytes, row.memory_bytes, row.processes) == (128 * MiB, 50 * MiB, 3)
    assert site.driven.problems == {}
    assert "the kubelet at https://127.0.0.1" in site.driven.collector.note
    # A pod is older than five minutes, so its container has series of its own.
    assert readings["container_memory_limit_bytes[shop/web-5d4f8c7b9d-1/app]"] == 128 * MiB


def test_a_restart_is_counted_once_and_the_container_goes_on(site: Site) -> None:
    site.stub.pods = [pod(1, "db-0", owner=("StatefulSet", "db"), containers=("db",))]
    site.tree.group(group_of(1), cpu=10, memory=50 * MiB, inactive=0)
    site.start()
    site.driven.tick()
    # The kernel kills it; its group is gone before anybody reads of that there.
    restart(site.stub.pods[0], 15, exit_code=137, reason="OOMKilled")
    site.tree.remove(group_of(1))
    site.tree.group(group_of(1, 5), cpu=1, memory=20 * MiB, inactive=0)
    site.answered_again()
    site.driven.tick(60)
    readings = site.driven.tick(60)
    label = "[shop][shop/db]"
    told = [readings[f"workload_{name}{label}"] for name in ("containers", "restarts_total", "oom_kills_total")]
    assert told == [1, 1, 1]
    assert readings[f"workload_failures_total{label}"] == 1
    assert readings["container_memory_working_set_bytes[shop/db-0/db]"] == 20 * MiB
    events = [event for each in site.driven.lists for event in each.events]
    assert [(event.type, event.name, event.exit_code) for event in events] == [
        ("oom_killed", "shop/db-0/db", 0), ("exited", "shop/db-0/db", 137), ("restarted", "shop/db-0/db", 137),
    ]  # fmt: skip
    assert {(row.name, row.id) for each in site.driven.lists for row in each.containers} == {
        ("shop/db-0/db", site.listed()["shop/db-0/db"].id)
    }
    assert site.listed()["shop/db-0/db"].restarts == 1
    assert len(set(site.driven.layouts[1:])) <= 1, "a restart makes no layout"


def test_what_was_before_the_agent_is_no_news(site: Site) -> None:
    site.stub.pods = [pod(1, "db-0"), pod(2, "old", phase="Failed", reason="Evicted")]
    restart(site.stub.pods[0], 15, exit_code=137, reason="OOMKilled")
    site.start()
    site.answered_again()
    readings = site.driven.tick(60)
    assert readings["workload_restarts_total[shop][shop/db-0]"] == 0
    assert readings["workload_oom_kills_total[shop][shop/db-0]"] == 0
    assert readings["workload_evictions_total[shop][shop/old]"] == 0
    assert [event for each in site.driven.lists for event in each.events] == []
    assert site.listed()["shop/old/app"].reason == "Evicted"
    assert site.listed()["shop/db-0/app"].restarts == 1


def test_an_eviction_is_told_and_counted(site: Site) -> None:
    site.stub.pods = [pod(1, "search-0", owner=("StatefulSet", "search"))]
    site.start()
    site.driven.tick()
    gone = site.stub.pods[0]
    gone["status"] = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    site.answered_again()
    readings = site.driven.tick(60)
    assert readings["workload_evictions_total[shop][shop/search]"] == 1
    assert readings["workload_pods[shop][shop/search]"] == 0
    assert [(event.type, event.name) for event in site.driven.lists[-1].events] == [("evicted", "shop/search-0/app")]
    row = site.listed()["shop/search-0/app"]
    assert (row.state, row.reason, row.pod_phase) == ("exited", "Evicted", "Failed")
    site.answered_again()
    assert site.driven.tick(60)["workload_evictions_total[shop][shop/search]"] == 1


def test_a_pod_that_takes_the_name_of_another_is_another(site: Site) -> None:
    site.stub.pods = [pod(1, "db-0", owner=("StatefulSet", "db"))]
    restart(site.stub.pods[0], 15)
    site.start()
    site.driven.tick()
    site.stub.pods = [pod(2, "db-0", owner=("StatefulSet", "db"), created=time.time() + 5)]
    site.answered_again()
    readings = site.driven.tick(60)
    assert readings["workload_restarts_total[shop][shop/db]"] == 0
    assert {event.type for event in site.driven.lists[-1].events} == {"removed", "started"}
    states = [(row.state, row.restarts) for row in site.driven.lists[-1].containers]
    assert sorted(states) == [("removing", 1), ("running", 0)]
    # One that is made, and restarted, while the agent looks on has restarted.
    restart(site.stub.pods[0], 25)
    site.answered_again()
    assert site.driven.tick(60)["workload_restarts_total[shop][shop/db]"] == 1


def test_a_token_that_is_replaced(site: Site) -> None:
    site.stub.pods = [pod(1, "web")]
    site.start()
    assert site.kubelet.is_connected
    site.stub.token = "second-token"
    wait_for(lambda: site.kubelet.problem)
    assert site.kubelet.problem == f"refuses the token in {site.token_file} (401)"
    # What it told stays for a while.
    site.driven.tick(60)
    assert "shop/web/app" in site.listed()
    assert f"refuses the token in {site.token_file} (401)" in site.driven.problems["kubelet"]
    site.token_file.write_text("second-token\n")
    wait_for(lambda: site.kubelet.is_connected)
    assert site.kubelet.problem == ""
    assert site.driven.tick()["kubernetes_kubelet_errors_total"] >= 1


def test_pods_that_may_not_be_read(site: Site) -> None:
    site.stub.answers["/pods"] = (403, b"Forbidden")
    one = pod(1, "web-5d4f8c7b9d-2mkzp", containers=("web",))
    two = pod(2, "db-0", containers=("db", "backup"))
    site.stub.pods = [one, two]
    site.tree.group(group_of(1), memory=50 * MiB, inactive=0, limit=100 * MiB, oom_kills=1)
    site.start()
    site.tree.group(group_of(1), memory=50 * MiB, inactive=0, limit=100 * MiB, oom_kills=2)
    site.driven.tick(30)
    id = f"{uid_of(2)}/db"
    first = site.kubelet.samples[id]
    site.stub.usage["db"] = (4.0, 70 * MiB)
    wait_for(lambda: site.kubelet.samples[id].memory_bytes == 70 * MiB and site.kubelet.samples[id].at > first.at)
    readings = site.driven.tick(60)
    assert readings["workload_memory_working_set_bytes[shop][shop/web]"] == 50 * MiB
    assert readings["workload_oom_kills_total[shop][shop/web]"] == 1
    assert readings["workload_memory_working_set_bytes[shop][shop/db]"] == 80 * MiB
    assert readings["workload_containers[shop][shop/db]"] == 2
    # Nobody knows, so nobody says 0.
    assert not [name for name in readings if "restarts" in name or "_pods" in name or "request" in name]
    assert {row.name: (row.memory_limit_bytes, row.state) for row in site.listed().values()} == {
        "shop/web-5d4f8c7b9d-2mkzp/web": (100 * MiB, ""), "shop/db-0/db": (0, ""), "shop/db-0/backup": (0, ""),
    }  # fmt: skip
    assert site.driven.problems == {
        "kubelet pods": "The kubelet does not let the service account read /pods (403), so that requests, restarts and "
        "phases are unknown: grant it nodes/pods"
    }
    assert site.stub.asked("/pods") == 1, "a right that is missing is not asked for each time"


def test_without_control_groups_the_kubelet_measures(site: Site) -> None:
    site.stub.pods = [pod(1, "web", containers=("web",), limits={"memory": "100Mi"})]
    site.stub.usage["web"] = (10.0, 50 * MiB)
    site.start()
    wait_for(lambda: site.kubelet.samples)
    site.driven.tick()
    first = next(iter(site.kubelet.samples.values()))
    site.stub.usage["web"] = (13.0, 60 * MiB)
    wait_for(lambda: (now := next(iter(site.kubelet.samples.values()))).cpu_seconds == 13 and now.at > first.at)
    elapsed = next(iter(site.kubelet.samples.values())).at - first.at
    readings = site.driven.tick()
    assert readings["workload_cpu_usage_ratio[shop][shop/web]"] == pytest.approx(3 / elapsed)
    assert readings["workload_memory_working_set_bytes[shop][shop/web]"] == 60 * MiB
    assert readings["container_memory_limit_used_ratio[shop/web/web]"] == 0.6
    assert not [name for name in readings if name.startswith(("container_network", "container_processes"))]


def test_neither_control_groups_nor_a_right_to_the_summary(site: Site) -> None:
    site.stub.pods = [pod(1, "web")]
    site.stub.answers["/stats/summary"] = (403, b"Forbidden")
    site.start()
    wait_for(lambda: site.kubelet.gaps)
    readings = site.driven.tick(60)
    assert readings["workload_containers[shop][shop/web]"] == 1
    assert "grant it nodes/stats" in site.driven.problems["kubelet usage"]


def text(status: int, body: bytes) -> tuple[int, bytes]:
    return status, body


def cut_short(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    handler.close_connection = True


def other_protocol(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param(hang, "no response in time", id="hangs"),
        pytest.param(text(500, b"x"), "HTTP status 500", id="fails"),
        pytest.param(text(302, b""), "HTTP status 302", id="redirects"),
        pytest.param(text(200, b"<html>"), "answers what is not understood", id="a web page"),
        pytest.param(text(200, b"\xff\xfe\x00"), "answers what is not understood", id="no text"),
        pytest.param(text(200, b'{"items":[{}'), "answers what is not understood", id="cut short"),
        pytest.param(text(200, b'{"items":[' + b"[" * 100_000), "answers what is not understood", id="too deep"),
        pytest.param(cut_short, "cut short", id="a body that is cut short"),
        pytest.param(other_protocol, "not an HTTP server", id="another protocol"),
    ],
)
def test_a_broken_kubelet_costs_nothing_but_names(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[int, bytes] | Callable[[BaseHTTPRequestHandler], None],
    problem: str,
) -> None:
    monkeypatch.setattr(kubernetes_api, "TIMEOUT_SECONDS", 0.5)
    site.stub.answers["/pods"] = answer
    site.tree.group(group_of(1), memory=5 * MiB, inactive=0)
    site.start()
    wait_for(lambda: site.kubelet.problem)
    readings = site.driven.tick(120)
    assert readings["workload_memory_working_set_bytes[kubernetes]"] == 5 * MiB
    assert readings["kubernetes_kubelet_errors_total"] >= 1
    assert problem in site.driven.problems["kubelet"]
    del site.stub.answers["/pods"]
    wait_for(lambda: site.kubelet.is_connected)


def test_one_pod_that_is_not_understood_costs_itself(site: Site) -> None:
    site.stub.pods = [pod(1, "web"), {"metadata": {"name": "broken"}}, pod(2, "db")]
    site.start()
    readings = site.driven.tick(60)
    assert readings["kubernetes_node_pods"] == 2
    assert site.listed().keys() == {"shop/web/app", "shop/db/app"}
    assert "tells of a pod what is not understood (KeyError" in site.driven.problems["kubelet pod"]


def test_a_hanging_kubelet_does_not_delay_a_tick(site: Site) -> None:
    site.stub.answers["/pods"] = hang
    site.driven = Driven(site.tree, (), site.settings)
    site.tree.group(group_of(1))
    began = time.monotonic()
    site.driven.tick()
    assert time.monotonic() - began < 3  # of which the first may wait one second for names
    used = time.thread_time()
    for _ in range(10):
        site.driven.tick()
    assert time.thread_time() - used < 1


def test_a_certificate_that_nobody_vouches_for(site: Site) -> None:
    del site.settings["kubelet_ca_file"]
    Path(kubernetes_api.SERVICE_ACCOUNT, "ca.crt").unlink()
    site.start()
    assert "its certificate is not trusted" in site.kubelet.problem
    assert site.kubelet.problem.endswith("set kubelet_ca_file to its authority, or kubelet_verify to false")
    assert site.stub.requests == [], "no token was sent"


def test_a_certificate_that_is_not_to_be_verified(site: Site) -> None:
    del site.settings["kubelet_ca_file"]
    site.settings["kubelet_verify"] = False
    site.stub.pods = [pod(1, "web")]
    site.start()
    assert site.kubelet.problem == ""


def test_the_node_is_optional(site: Site) -> None:
    site.stub.pods = [pod(1, "web")]
    site.stub.answers["/api/v1/nodes/node-a"] = (403, b"Forbidden")
    site.start()
    wait_for(lambda: "node" in site.kubelet.gaps)
    readings = site.driven.tick()
    assert readings["kubernetes_node_pods"] == 1
    assert "kubernetes_node_pods_allocatable" not in readings
    assert site.driven.problems == {
        "kubelet node": "The API server does not let the service account read /api/v1/nodes/node-a (403), so that "
        "conditions and capacity of the node are unknown"
    }


def test_a_node_in_trouble(site: Site) -> None:
    site.stub.pods = [pod(1, "web")]
    site.start()
    site.stub.node = node(MemoryPressure="True", Ready="False")
    wait_for(lambda: site.kubelet.node and site.kubelet.node.conditions["MemoryPressure"])
    readings = site.driven.tick()
    assert readings["kubernetes_node_condition[MemoryPressure]"] == 1
    assert readings["kubernetes_node_condition[Ready]"] == 0


def test_a_node_with_250_pods(site: Site) -> None:
    for number in range(250):
        owner = ("ReplicaSet", f"app-{number % 40}-abc")
        site.stub.pods.append(pod(number, f"app-{number % 40}-abc-{number}", owner=owner, hash="abc"))
        site.tree.group(group_of(number), memory=MiB, inactive=0)
    site.start()
    readings = site.driven.tick()
    assert readings["kubernetes_node_pods"] == 250
    assert len(site.listed()) == 250
    assert sum(value for name, value in readings.items() if name.startswith("workload_pods[")) == 250
    assert len([name for name in readings if name.startswith("container_processes")]) == 250
    assert site.driven.problems == {}


def test_names_are_filtered(site: Site) -> None:
    site.stub.pods = [pod(1, "web"), pod(2, "proxy", namespace="kube-system")]
    site.start(names=Filter(exclude=("kube-system/*",)))
    site.driven.tick(60)
    assert site.listed().keys() == {"shop/web/app"}


def test_a_group_is_followed_from_before_its_pod_is_known(site: Site) -> None:
    site.start()
    site.tree.group(group_of(1), cpu=10, memory=MiB, inactive=0)
    assert "workload_containers[kubernetes]" not in site.driven.tick(30)
    site.stub.pods = [pod(1, "web", created=time.time() + 1)]
    site.answered_again()
    site.tree.group(group_of(1), cpu=15, memory=MiB, inactive=0)
    readings = site.driven.tick(10)
    assert readings["workload_cpu_usage_ratio[shop][shop/web]"] == pytest.approx(0.5)
    assert [tracked.name for tracked in site.driven.collector._tracked.values()] == ["shop/web/app"]


def test_the_network_of_a_pod_is_no_container(site: Site) -> None:
    site.stub.pods = [pod(1, "web")]
    site.tree.group(group_of(1))
    site.tree.group(group_of(1, 9))  # of the pause container, whose process this agent cannot see
    site.start()
    site.driven.tick(200)
    assert site.listed().keys() == {"shop/web/app"}


def test_containers_of_docker_that_the_kubelet_made_are_told_once(site: Site, tmp_path: Path) -> None:
    docker = StubDocker(tmp_path / "docker.sock")
    labels = {"io.kubernetes.pod.name": "web", "io.kubernetes.pod.namespace": "shop"}
    docker.add(full_id(10), "k8s_app_web_shop", labels=labels)
    docker.add(full_id(77), "alone")
    site.stub.pods = [pod(1, "web")]
    site.start((str(docker.path),))
    site.driven.tick(60)
    assert site.listed().keys() == {"shop/web/app", "alone"}
    docker.close()


def test_init_containers_are_seen_while_they_work(site: Site) -> None:
    made = pod(1, "web", created=time.time() + 1, phase="Pending")
    made["spec"]["initContainers"] = [{"name": "wait", "image": "busybox", "resources": {}}]
    status = made["status"].pop("containerStatuses")[0]
    running = {"name": "wait", "state": {"running": {"startedAt": "2026-03-01T08:00:00Z"}}, "ready": False}
    made["status"] |= {"initContainerStatuses": [running], "containerStatuses": []}
    site.start()
    site.stub.pods = [made]
    site.answered_again()
    site.driven.tick(60)
    assert {row.name: row.state for row in site.listed().values()} == {
        "shop/web/wait": "running", "shop/web/app": "created",
    }  # fmt: skip
    ended = {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-03-01T08:00:09Z"}
    made["status"] |= {
        "initContainerStatuses": [running | {"state": {"terminated": ended}}], "containerStatuses": [status],
    }  # fmt: skip
    site.answered_again()
    site.driven.tick(60)
    assert {row.name: (row.state, row.reason) for row in site.listed().values()} == {
        "shop/web/wait": ("exited", "Completed"), "shop/web/app": ("running", ""),
    }  # fmt: skip
    assert "removed" not in [event.type for each in site.driven.lists for event in each.events]
    site.driven.tick(60)
    assert site.listed().keys() == {"shop/web/app"}


ENVIRONMENT = {"HOST_IP": "10.0.0.11", "NODE_NAME": "node-a", "KUBERNETES_SERVICE_HOST": "10.96.0.1"}


@pytest.mark.parametrize(
    ("environment", "settings", "url"),
    [
        pytest.param({}, {}, None, id="no pod"),
        pytest.param(ENVIRONMENT, {}, "https://10.0.0.11:10250", id="by its address"),
        pytest.param(ENVIRONMENT | {"HOST_IP": "fd00::1"}, {}, "https://[fd00::1]:10250", id="version 6"),
        pytest.param(ENVIRONMENT | {"HOST_IP": ""}, {}, "https://node-a:10250", id="by its name"),
        pytest.param(ENVIRONMENT, {"kubelet": ""}, None, id="told not to"),
        pytest.param({}, {"kubelet": "https://127.0.0.1:1"}, "https://127.0.0.1:1", id="configured"),
        pytest.param({"HOST_IP": "10.0.0.11"}, {}, None, id="an address for other reasons"),
    ],
)
def test_where_the_kubelet_is(
    tmp_path: Path, environment: dict[str, str], settings: dict[str, Any], url: str | None
) -> None:
    token = tmp_path / "token"
    token.write_text("x")
    access = find_access({"kubelet_token_file": str(token), **settings}, environment)
    assert (access and access.url) == url


def test_a_pod_without_a_token_does_not_ask(tmp_path: Path) -> None:
    assert find_access({"kubelet_token_file": str(tmp_path / "none")}, ENVIRONMENT) is None


@pytest.mark.parametrize("text", ["http://10.0.0.1:10255", "10.0.0.1", "https://", "https://a/b", "https://a:99999"])
def test_what_is_no_kubelet(text: str) -> None:
    with pytest.raises(ConfigError, match="is not the URL of a kubelet"):
        parse_kubelet(text)
