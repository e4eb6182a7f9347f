"""The client for programs on an event loop."""

import asyncio
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from bongsu.client import calls
from bongsu.client.answers import History
from bongsu.client.calls import Call, Moment
from bongsu.client.errors import ApiError, NotReachable

T = TypeVar("T")


class AsyncClient:
    """Asks an API server, in the name of an API token. Use it in a ``async with`` statement, or await ``close``.

    Every method may raise ``ApiError`` (the API server refuses) and ``NotReachable``. Requests that are answered with
    429 or 503 are repeated up to three times, after the time that the answer says.
    """

    def __init__(
        self, url: str = "", token: str = "", *, verify: Any = True, timeout: float = calls.TIMEOUT_SECONDS
    ) -> None:
        """``url``: else BONGSU_URL, else http://127.0.0.1:8600; ``token``: else BONGSU_TOKEN; ``verify``: False or an
        ``ssl.SSLContext``, as in httpx; ``timeout``: seconds."""
        self._http = httpx.AsyncClient(**calls.settings(url, token, verify, timeout))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes connections."""
        await self._http.aclose()

    async def request(self, method: str, path: str, *, json: Any = None, **parameters: Any) -> Any:
        """Any other request of the API (see /docs of your API server): the JSON of its answer, None without one."""
        return await self._ask(Call(method, path, lambda body: body, calls.given(**parameters), json))

    async def servers(self, *, name: str | None = None, retired: bool | None = None) -> list[dict[str, Any]]:
        """All servers, with their state, tags and facts. ``name``: a pattern, such as ``web-*``."""
        return await self._all("/api/servers", "servers", name=name, retired=retired)

    async def catalog(self, **selection: Any) -> list[dict[str, Any]]:
        """All metrics, with their units, kinds and labels. ``selection``: as in ``history``."""
        return await self._list(calls.one("/api/metrics/catalog", "metrics", **selection))

    async def current(self, **selection: Any) -> list[dict[str, Any]]:
        """The newest values, by server. ``selection``: as in ``history``."""
        return await self._list(calls.one("/api/metrics/current", "servers", **selection))

    async def history(
        self,
        metric: str | None = None,
        *,
        start: Moment = "-1h",
        end: Moment = "now",
        step: str | None = None,
        max_points: int | None = None,
        aggregation: str | None = None,
        across: str | None = None,
        group_by: str | None = None,
        **selection: Any,
    ) -> History:
        """The points of all selected series.

        ``selection``: ``server`` (an id or several), ``name`` and ``tag`` of servers, ``type`` and ``labels`` of series
        (``labels={"mountpoint": "/"}``), ``retired``, ``resolution``. ``across``: combines the series of each group.
        """
        pages, cursor = [], None
        while True:
            call = calls.page(
                "/api/metrics/history",
                metric=metric,
                start=start,
                end=end,
                step=step,
                max_points=max_points,
                aggregation=aggregation,
                across=across,
                group_by=group_by,
                cursor=cursor,
                **selection,
            )
            pages.append(await self._ask(call))
            cursor = pages[-1]["next"]
            if cursor is None:
                return calls.history(pages)

    async def query(self, expression: str, time: Moment | None = None) -> History:
        """PromQL at one time, now if None: a series with one point each."""
        return await self._ask(calls.promql(expression, time))

    async def query_range(self, expression: str, start: Moment, end: Moment, step: str) -> History:
        """PromQL over a range; ``step``: such as ``30s``."""
        return await self._ask(calls.promql_range(expression, start, end, step))

    async def processes(self, server: int, at: Moment | None = None, **options: Any) -> dict[str, Any]:
        """The last process list of a server at or before ``at``. ``options``: ``sort`` and ``limit``."""
        answer: dict[str, Any] = await self._ask(calls.one(f"/api/servers/{server}/processes", at=at, **options))
        return answer

    async def events(self, *, start: Moment = "-24h", end: Moment = "now", **selection: Any) -> list[dict[str, Any]]:
        """What has happened to servers. ``selection``: ``server`` and ``type``."""
        return await self._all("/api/events", "events", start=start, end=end, **selection)

    async def alerts(self, **selection: Any) -> list[dict[str, Any]]:
        """Alerts that are pending or fire. ``selection``: ``state``, ``server`` and ``severity``."""
        return await self._list(calls.one("/api/alerts/active", "alerts", **selection))

    async def alert_history(
        self, *, start: Moment = "-7d", end: Moment = "now", **selection: Any
    ) -> list[dict[str, Any]]:
        """Alerts of a range. ``selection``: ``rule``, ``server``, ``severity`` and ``state``."""
        return await self._all("/api/alerts/history", "alerts", start=start, end=end, **selection)

    async def _list(self, call: Call[Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._ask(call)
        return found

    async def _all(self, path: str, key: str, **parameters: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            answer = await self._ask(calls.page(path, cursor=cursor, **parameters))
            found += answer[key]
            cursor = answer["next"]
            if cursor is None:
                return found

    async def _ask(self, call: Call[T]) -> T:
        attempt = 0
        while True:
            try:
                response = await self._http.request(call.method, call.path, params=call.parameters, json=call.json)
                return call.parse(calls.body_of(response))
            except ApiError as error:
                wait = calls.wait_before_retry(error, attempt)
                if wait is None:
                    raise
            except httpx.HTTPError as error:
                raise NotReachable(f"{self._http.base_url}: {str(error) or type(error).__name__}") from None
            attempt += 1
            await asyncio.sleep(wait)
