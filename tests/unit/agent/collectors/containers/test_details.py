"""What is taken from the JSON of a daemon."""

import pytest

from bongsu.agent.collectors.containers.details import of_inspection, of_list, time_ms, wire_text, workload_of
from tests.support.cgroup_trees import full_id


@pytest.mark.parametrize(
    ("labels", "image", "workload"),
    [
        ({"com.docker.compose.project": "shop", "com.docker.compose.service": "db"}, "postgres:16", "shop/db"),
        ({"io.podman.compose.project": "shop", "io.podman.compose.service": "db"}, "postgres:16", "shop/db"),
        ({"com.docker.swarm.service.name": "front_web"}, "nginx", "front_web"),
        (
            {"io.kubernetes.pod.namespace": "prod", "io.kubernetes.pod.name": "web-5d4f8c7b99-x2x4z"},
            "nginx",
            "prod/web",
        ),
        ({"io.kubernetes.pod.namespace": "prod", "io.kubernetes.pod.name": "db-0"}, "nginx", "prod/db"),
        ({"io.kubernetes.pod.namespace": "prod", "io.kubernetes.pod.name": "proxy-x2x4z"}, "nginx", "prod/proxy"),
        ({"com.hashicorp.nomad.job_name": "etl", "com.hashicorp.nomad.task_name": "load"}, "x", "etl/load"),
        ({}, "docker.io/library/nginx:1.27", "docker.io/library/nginx"),
        ({}, "registry.example:5000/team/app", "registry.example:5000/team/app"),
        ({}, "registry.example:5000/team/app:2@sha256:" + "a" * 64, "registry.example:5000/team/app"),
        ({}, "sha256:" + "a" * 64, "the-name"),
        ({}, "a" * 12, "the-name"),
        ({}, "", "the-name"),
    ],
)
def test_workload(labels: dict[str, str], image: str, workload: str) -> None:
    assert workload_of(labels, image, "the-name") == workload


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-06-15T15:06:40.123456789Z", 1_750_000_000_123),
        ("2025-06-15T17:06:40+02:00", 1_750_000_000_000),
        ("2025-06-15T11:36:40.5-03:30", 1_750_000_000_500),
        ("0001-01-01T00:00:00Z", 0),
        ("", 0),
        (None, 0),
        ("yesterday", 0),
    ],
)
def test_times(text: str | None, expected: int) -> None:
    assert time_ms(text) == expected


def test_an_inspection() -> None:
    details = of_inspection(
        {
            "Id": full_id(1),
            "Name": "/shop-web-1",
            "Created": "2025-06-15T15:06:40Z",
            "RestartCount": 2,
            "State": {
                "Status": "exited", "Running": False, "ExitCode": 137, "OOMKilled": True,
                "StartedAt": "2025-06-15T15:06:41Z", "FinishedAt": "2025-06-15T15:06:42Z",
                "Health": {"Status": "unhealthy"},
            },
            "Config": {"Image": "nginx:1.27", "Labels": None},
            "NetworkSettings": {
                "Ports": {
                    "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
                    "443/tcp": None,
                }
            },
        },
        "docker",
    )  # fmt: skip
    assert {name: value for name, value in details._asdict().items() if value} == {
        "id": full_id(1), "name": "shop-web-1", "image": "nginx:1.27", "workload": "nginx", "runtime": "docker",
        "state": "exited", "health": "unhealthy", "exit_code": 137, "restarts": 2, "oom_killed": True,
        "ports": "443/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp", "created_ms": 1_750_000_000_000,
        "started_ms": 1_750_000_001_000, "finished_ms": 1_750_000_002_000,
    }  # fmt: skip


def test_an_entry_without_a_name_is_called_by_its_id() -> None:
    assert of_list({"Id": full_id(1), "State": "stopping"}, "podman").name == "000000000001"
    assert of_list({"Id": full_id(1), "State": "stopping"}, "podman").state == "running"
    assert of_list({"Id": full_id(1), "State": "new word"}, "podman").state == ""


def test_texts_fit_the_wire() -> None:
    assert wire_text("a\nb\u202ec") == "a\\nb\\u202ec"
    assert wire_text("한" * 100) == "한" * 85
    assert wire_text(None) == ""
