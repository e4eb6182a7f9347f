"""A Bongsu whose agent is told by a kubelet: an API server and an agent as processes, and a stub of the kubelet."""

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from tests.support.processes import answers, bongsu, drained, free_port, logged_in, wait_for
from tests.support.programs import need
from tests.support.stub_kubelet import TOKEN, StubKubelet, make_authority, pod


class KubernetesSite:
    def __init__(self, url: str, kubelet: StubKubelet) -> None:
        self.url, self.kubelet = url, kubelet
        self.client: httpx.Client = logged_in(url)

    def get(self, path: str, **parameters: Any) -> Any:
        return self.client.get(path, params=parameters).raise_for_status().json()


def shop() -> list[dict[str, Any]]:
    """Pods of some workloads; one waits for an image that there is not, one was evicted."""
    pods = []
    for number in range(3):
        requests, limits = {"cpu": "250m", "memory": "256Mi"}, {"cpu": "1", "memory": "512Mi"}
        name = f"web-5d4f8c7b9d-{['x2x7k', 'm9q4z', 't6w2c'][number]}"
        owner = ("ReplicaSet", "web-5d4f8c7b9d")
        pods.append(
            pod(number, name, owner=owner, hash="5d4f8c7b9d", containers=("web",), requests=requests, limits=limits)
        )
    pods.append(
        pod(
            10,
            "db-0",
            owner=("StatefulSet", "db"),
            containers=("postgres",),
            requests={"memory": "2Gi"},
            limits={"memory": "4Gi"},
        )
    )
    pods.append(pod(11, "backup-29012345-q8r4t", owner=("Job", "backup-29012345"), containers=("backup",)))
    thumbs = pod(12, "thumbs-7f6b9c5d44-2mkzp", owner=("ReplicaSet", "thumbs-7f6b9c5d44"), hash="7f6b9c5d44")
    thumbs["status"] |= {"phase": "Pending"}
    thumbs["status"]["containerStatuses"][0] |= {
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}},
        "ready": False, "started": False, "containerID": "",
    }  # fmt: skip
    pods.append(thumbs)
    pods.append(pod(13, "search-0", owner=("StatefulSet", "search"), phase="Failed", reason="Evicted"))
    pods.append(
        pod(
            20,
            "coredns-674b8bbfcf-5hvjq",
            namespace="kube-system",
            owner=("ReplicaSet", "coredns-674b8bbfcf"),
            hash="674b8bbfcf",
            containers=("coredns",),
        )
    )
    pods.append(
        pod(
            21,
            "kube-proxy-d7k2p",
            namespace="kube-system",
            owner=("DaemonSet", "kube-proxy"),
            containers=("kube-proxy",),
        )
    )
    return pods


@contextlib.contextmanager
def kubernetes_site(folder: Path) -> Iterator[KubernetesSite]:
    need("openssl")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        kubelet = StubKubelet(make_authority(folder))
        stack.callback(kubelet.close)
        kubelet.pods = shop()
        kubelet.usage = {
            "web": (50.0, 180 * 1024**2),
            "postgres": (900.0, 1700 * 1024**2),
            "coredns": (9.0, 22 * 1024**2),
        }
        kubelet.rates = {"web": 0.2, "postgres": 0.7, "coredns": 0.01}
        server = ("server", "--port", str(port), "--data-dir", str(folder / "server"))
        drained(stack.enter_context(bongsu(*server, BONGSU_ALERT_INTERVAL="1s")))
        wait_for(lambda: answers(url), "the API server")
        site = KubernetesSite(url, kubelet)
        stack.callback(site.client.close)
        token = site.client.post("/api/enrolment-tokens", json={"name": "tests"}).raise_for_status().json()["token"]
        token_file = folder / "token"
        token_file.write_text(TOKEN)
        account = {"KUBELET": kubelet.url, "KUBELET_CA_FILE": folder / "ca.pem", "KUBELET_TOKEN_FILE": token_file}
        settings = {"ENROLMENT_TOKEN": token, "SERVER": url, "INTERVAL": "1s", "DATA_DIR": folder / "agent"} | {
            f"COLLECTORS_CONTAINERS_{name}": value for name, value in account.items()
        } | {"COLLECTORS_CONTAINERS_SOCKETS": "none", "NAME": "node-a"}  # fmt: skip
        environment = {f"BONGSU_AGENT_{name}": str(value) for name, value in settings.items()}
        # The API server of the cluster, whose authority a pod finds beside its token.
        environment |= {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(kubelet.port)}
        drained(stack.enter_context(bongsu("agent", "run", **environment)))
        wait_for(lambda: site.get("/api/containers", runtime="kubernetes")["servers"], "a list of containers")
        yield site
