"""Prometheus and Bongsu get the same samples, and random questions: they must give the same answers."""

import random
from itertools import islice
from pathlib import Path

import httpx

from tests.support.processes import Part, answers, free_port, logged_in, running, wait_for
from tests.support.prometheus import now_ms, prometheus
from tests.support.promql_questions import Questions, demo_samples, difference, result_of
from tests.support.remote_write import VERSION_1, request_1

MINUTES = 50
QUESTIONS = 400
# Of random questions; most of the others are errors in both, or have no series as their answer.
ANSWERED = 150


def test_both_give_the_same_answers(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    bongsu = Part(["server", "--port", str(port), "--data-dir", str(tmp_path / "bongsu")], {})
    with running({"bongsu": bongsu}), prometheus(tmp_path, {}, receives=True) as theirs:
        wait_for(lambda: bongsu.runs() and answers(url), "Bongsu")
        with logged_in(url) as client:
            tokens = {
                scope: client.post("/api/tokens", json={"name": scope, "scope": scope})
                .raise_for_status()
                .json()["token"]
                for scope in ("writer", "viewer")
            }
            end_ms = now_ms()
            start_ms = end_ms - MINUTES * 60_000
            _send(start_ms, end_ms, {url: tokens["writer"], theirs.url: ""})

            last_s = f"{end_ms / 1000 + 5:.3f}"
            everything = [{"query": f'{{job="demo"}}[{back}]', "time": last_s} for back in ("1h", "30s")]
            expected = [result_of(httpx.get(f"{theirs.url}/api/v1/query", params=each).json()) for each in everything]
            assert all(expected)

            def is_there() -> bool:
                # The samples are frames before the API server has heard in which layouts, and how late the last is.
                found = [result_of(client.get("/api/v1/query", params=each).json()) for each in everything]
                return not any(map(difference, found, expected))

            wait_for(is_there, "all samples")
        with (
            httpx.Client(base_url=url, headers={"Authorization": f"Bearer {tokens['viewer']}"}, timeout=60) as mine,
            httpx.Client(base_url=theirs.url, timeout=60) as other,
        ):
            answered = 0
            for path, parameters in islice(Questions(start_ms, end_ms, seed=8), QUESTIONS):
                wanted, found = other.post(path, data=parameters), mine.post(path, data=parameters)
                if wanted.status_code != 200:
                    assert found.status_code in (400, 422), (parameters, wanted.text, found.text)
                    continue
                assert found.status_code == 200, (parameters, found.text)
                expected = result_of(wanted.json())
                assert not difference(result_of(found.json()), expected), (
                    parameters,
                    difference(result_of(found.json()), expected),
                )
                answered += bool(expected)
    assert answered > ANSWERED


def _send(start_ms: int, end_ms: int, to: dict[str, str]) -> None:
    """Writes the same samples to both."""
    with httpx.Client(timeout=60) as client:
        scrapes = demo_samples(start_ms, end_ms, random.Random(3))
        while batch := [sample for scrape in islice(scrapes, 40) for sample in scrape]:
            body = request_1(batch)
            for url, token in to.items():
                headers = {"Content-Type": VERSION_1, "Content-Encoding": "snappy"}
                headers |= {"X-Prometheus-Remote-Write-Version": "0.1.0"}
                if token:
                    headers["Authorization"] = f"Bearer {token}"
                client.post(f"{url}/api/v1/write", content=body, headers=headers).raise_for_status()
