"""What is in ``deploy/`` for containers: that it agrees with Bongsu, and with the tools that read it where they are installed."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

import bongsu
from bongsu.agent.config import load
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
            [
                *("ClusterRole", "ClusterRoleBinding", "DaemonSet", "Ingress", "Secret", "Service"),
                "ServiceAccount",
                "StatefulSet",
            ],
            id="agents and an ingress",
        ),
        pytest.param(
            ["agent.enrolmentToken=t", "agent.kubernetes=false"],
            ["DaemonSet", "Secret", "Service", "StatefulSet"],
            id="agents that do not ask the kubelet",
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


RIGHTS = {("nodes/pods", "get"), ("nodes/stats", "get"), ("nodes", "get")}


def check_agents(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """That they may read what they ask the kubelet for, and nothing else, and know where it is. Returns their pod."""
    of_kind = {each["kind"]: each for each in objects}
    rules = of_kind["ClusterRole"]["rules"]
    granted = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    assert granted == RIGHTS
    assert all(rule["apiGroups"] == [""] for rule in rules)
    binding, account = of_kind["ClusterRoleBinding"], of_kind["ServiceAccount"]["metadata"]["name"]
    assert binding["roleRef"]["name"] == of_kind["ClusterRole"]["metadata"]["name"]
    assert [(each["kind"], each["name"]) for each in binding["subjects"]] == [("ServiceAccount", account)]
    pod: dict[str, Any] = of_kind["DaemonSet"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account
    assert pod.get("automountServiceAccountToken", True) is True
    [agent] = pod["containers"]
    paths = {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in agent["env"] if "fieldRef" in str(one)}
    assert paths.items() >= {"NODE_NAME": "spec.nodeName", "HOST_IP": "status.hostIP"}.items()
    assert {mount["mountPath"]: mount.get("readOnly") for mount in agent["volumeMounts"]}["/host"] is True
    settings = {one["name"]: one.get("value", "x" * 20) for one in agent["env"] if one["name"].startswith("BONGSU_")}
    load(environment=settings)
    return pod


@with_helm
def test_agents_of_the_chart_may_ask_the_kubelet() -> None:
    pod = check_agents(rendered("agent.enrolmentToken=t"))
    names = [one["name"] for one in pod["containers"][0]["env"]]
    assert not [name for name in names if "KUBELET" in name]
    pod = check_agents(rendered("agent.enrolmentToken=t", "agent.kubeletVerify=false"))
    told = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    assert told["BONGSU_AGENT_COLLECTORS_CONTAINERS_KUBELET_VERIFY"] == "false"


@with_helm
def test_agents_that_do_not_ask_have_no_token() -> None:
    [pod] = [
        each["spec"]["template"]["spec"]
        for each in rendered("agent.enrolmentToken=t", "agent.kubernetes=false")
        if each["kind"] == "DaemonSet"
    ]
    assert pod["automountServiceAccountToken"] is False
    assert "HOST_IP" not in str(pod)


def test_the_manifest_without_helm() -> None:
    objects = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "agent.yaml").read_text()))
    assert sorted(each["kind"] for each in objects) == [
        "ClusterRole",
        "ClusterRoleBinding",
        "DaemonSet",
        "ServiceAccount",
    ]
    pod = check_agents(objects)
    [agent] = pod["containers"]
    assert agent["image"] == pod["initContainers"][0]["image"] == f"localhost/bongsu-agent:{bongsu.__version__}"
    assert agent["securityContext"]["readOnlyRootFilesystem"] is True
    assert agent["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@with_helm
def test_the_manifest_is_what_the_chart_makes() -> None:
    ours = check_agents(list(yaml.safe_load_all((DEPLOY / "kubernetes" / "agent.yaml").read_text())))
    theirs = check_agents(rendered("agent.enrolmentToken=t", "agent.server=https://monitor.example.com"))
    for one in (ours, theirs):  # what is named otherwise
        del one["serviceAccountName"]
        one.pop("automountServiceAccountToken", None)
        for container in (*one["containers"], *one["initContainers"]):
            container.pop("imagePullPolicy", None)
            container["env"] = {each["name"] for each in container.get("env", ())}
    assert ours == theirs


@with_helm
@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("server.replicas=none", "server[./]replicas", id="not a number"),
        pytest.param("server.colour=red", "colour", id="a value that there is not"),
        pytest.param("secretKey=short", "secretKey", id="not a key"),
        pytest.param("database.url=postgresql://a/b", "set secretKey", id="PostgreSQL without a key"),
    ],
)
def test_wrong_values_are_refused(value: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        rendered(value)
