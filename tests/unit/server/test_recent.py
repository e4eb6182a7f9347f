"""Answers that many ask for, made once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from bongsu.server.dashboards import recent
from bongsu.server.dashboards.recent import RecentAnswers


class Maker:
    """Counts what it makes; ``gate`` holds it up."""

    def __init__(self) -> None:
        self.made = 0
        self.now = 0.0
        self.gate = asyncio.Event()
        self.gate.set()

    def of(self, answer: bytes) -> Callable[[], Coroutine[Any, Any, bytes]]:
        async def make() -> bytes:
            self.made += 1
            await self.gate.wait()
            if not answer:
                raise ValueError("nothing to say")
            return answer

        return make


async def test_an_answer_is_made_once_for_all_who_ask_until_it_is_too_old() -> None:
    maker = Maker()
    answers = RecentAnswers(lambda: maker.now)
    maker.gate.clear()
    asking = [asyncio.create_task(answers.get("a", 5, maker.of(b"one"))) for _ in range(10)]
    await asyncio.sleep(0)
    maker.gate.set()
    assert set(await asyncio.gather(*asking)) == {b"one"}
    assert maker.made == 1
    maker.now = 4.9
    assert await answers.get("a", 5, maker.of(b"two")) == b"one"
    assert await answers.get("b", 5, maker.of(b"other")) == b"other"
    maker.now = 5.0
    assert await answers.get("a", 5, maker.of(b"two")) == b"two"


async def test_whoever_goes_away_does_not_take_it_from_the_others() -> None:
    maker = Maker()
    answers = RecentAnswers(lambda: maker.now)
    maker.gate.clear()
    first, second = (asyncio.create_task(answers.get("a", 5, maker.of(b"one"))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    maker.gate.set()
    assert await second == b"one"
    assert maker.made == 1


async def test_a_failure_is_told_and_tried_again() -> None:
    maker = Maker()
    answers = RecentAnswers(lambda: maker.now)
    with pytest.raises(ValueError, match="nothing to say"):
        await answers.get("a", 5, maker.of(b""))
    assert await answers.get("a", 5, maker.of(b"one")) == b"one"


async def test_so_many_and_so_large_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST_ANSWERS", 10)
    monkeypatch.setattr(recent, "MOST_BYTES", 1_000)
    maker = Maker()
    answers = RecentAnswers(lambda: maker.now)
    for number in range(100):
        await answers.get(number, 5, maker.of(b"x"))
    assert len(answers._kept) == 10
    for number in range(100, 110):
        await answers.get(number, 5, maker.of(b"x" * 400))
    assert len(answers._kept) <= 4
    maker.now = 5.0
    await answers.get("last", 5, maker.of(b"x"))
    assert list(answers._kept) == ["last"]
