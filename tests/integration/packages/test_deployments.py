"""What is in ``deploy/`` for containers: that it agrees with Bongsu, and with the tools that read it where they are installed."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

import bongsu
from tests.support.repository import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
CHART = DEPLOY / "helm" / "bongsu"
OURS = ("server", "agent", "frontend")


@pytest.mark.parametrize("name", OURS)
def test_images_run_without_root_and_tell_their_health(name: str) -> None:
    last = (DEPLOY / "docker" / f"{name}.Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert "\nUSER 10001:10001\n" in last
    assert "\nHEALTHCHECK " in last


@pytest.mark.parametrize("name", OURS)
def test_nothing_in_a_dockerfile_is_of_one_architecture(name: str) -> None:
    text = (DEPLOY / "docker" / f"{name}.Dockerfile").read_text()
    assert re.findall(r"amd64|x86_64|arm64|aarch64|sha256:", text) == []


@pytest.mark.parametrize("file", ["compose.yml", "compose.scale.yml"])
def test_services_are_hardened_and_exist(file: str) -> None:
    services: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / file).read_text())["services"]
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if "build" in service:
            assert (REPOSITORY / service["build"]["dockerfile"]).is_file(), name
        for volume in service.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else volume.partition(":")[0]
            assert not source.startswith("./") or (DEPLOY / source).is_file(), f"{name}: {source}"


def rendered(*values: str) -> list[dict[str, Any]]:
    """The objects that the chart makes; fails with helm's message."""
    command = ["helm", "template", "test", str(CHART), "--kube-version", "1.33.0"]
    done = subprocess.run(
        [*command, *(word for value in values for word in ("--set", value))], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


with_helm = pytest.mark.skipif(shutil.which("helm") is None, reason="left out: helm is not installed")


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == bongsu.__version__


@with_helm
@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        pytest.param([], ["Secret", "Service", "StatefulSet"], id="SQLite, and no token for agents yet"),
        pytest.param(
            ["agent.enrolmentToken=t", "ingress.enabled=true"],
            ["DaemonSet", "Ingress", "Secret", "Service", "StatefulSet"],
            id="agents and an ingress",
        ),
        pytest.param(
            ["database.url=postgresql://a/b", f"secretKey={'a' * 43}="],
            ["Deployment", "Deployment", "Secret", "Service"],
            id="PostgreSQL",
        ),
        pytest.param(["existingSecret=mine"], ["Service", "StatefulSet"], id="a Secret that exists"),
    ],
)
def test_what_the_chart_makes(values: list[str], kinds: list[str]) -> None:
    subprocess.run(["helm", "lint", "--strict", "--quiet", str(CHART)], check=True)
    objects = rendered(*values)
    assert sorted(each["kind"] for each in objects) == kinds
    pods = [each["spec"]["template"]["spec"] for each in objects if "template" in each.get("spec", {})]
    assert all(pod["enableServiceLinks"] is False for pod in pods), "a service named bongsu would set BONGSU_PORT"
    for container in [container for pod in pods for container in pod["containers"]]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["image"] in {f"localhost/bongsu-{name}:{bongsu.__version__}" for name in OURS}


@with_helm
@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("server.replicas=none", "server/replicas", id="not a number"),
        pytest.param("server.colour=red", "colour", id="a value that there is not"),
        pytest.param("secretKey=short", "secretKey", id="not a key"),
        pytest.param("database.url=postgresql://a/b", "set secretKey", id="PostgreSQL without a key"),
    ],
)
def test_wrong_values_are_refused(value: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        rendered(value)
