"""Kubernetes in a real Chromium, from a kubelet through agent and API server to the page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.agent_fakes import linux_only
from tests.support.kubernetes_site import KubernetesSite, kubernetes_site
from tests.support.pages import SLOW_MS, Look, loaded, person_at, violations

pytestmark = linux_only


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesSite]:
    with kubernetes_site(tmp_path_factory.mktemp("kubernetes")) as made:
        yield made


def test_from_the_navigation_to_a_container(browser: Browser, site: KubernetesSite) -> None:
    with person_at(browser, site.url) as page:
        page.goto(site.url)
        page.get_by_role("link", name="Kubernetes").click()
        nodes = page.get_by_test_id("kubernetes-nodes")
        expect(nodes).to_contain_text("node-a", timeout=SLOW_MS)
        expect(nodes).to_contain_text("Ready")
        workloads = page.get_by_test_id("workload")
        expect(workloads.filter(has_text="web")).to_contain_text("3 of 3 ready")
        expect(workloads.filter(has_text="web")).to_contain_text("768 MiB requested · limit 1.5 GiB")
        expect(workloads.filter(has_text="thumbs")).to_contain_text("0 of 1 ready")
        workloads.filter(has_text="thumbs").get_by_role("button").click()
        expect(page.get_by_test_id("pod")).to_contain_text("ImagePullBackOff")
        page.get_by_role("searchbox").fill("kube-proxy")
        expect(workloads).to_have_count(1)
        workloads.get_by_role("button").click()
        page.get_by_test_id("pod").get_by_role("link", name="kube-proxy").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("kube-system/kube-proxy-d7k2p/kube-proxy")


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(Look(1440, 900, "dark", "ko-KR"), id="wide, dark, Korean"),
        pytest.param(Look(360, 740, "light", "en-GB"), id="phone, light, English"),
    ],
)
def test_everybody_can_read_it(browser: Browser, site: KubernetesSite, look: Look) -> None:
    with person_at(browser, site.url, look) as page:
        page.goto(f"{site.url}/kubernetes")
        loaded(page)
        page.get_by_test_id("workload").first.get_by_role("button").click()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
