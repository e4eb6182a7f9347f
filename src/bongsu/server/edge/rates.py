"""Rate limits: per address, per person or API token, and per agent.

Counted in this process, or in Redis for all processes if BONGSU_REDIS_URL is set; while Redis is away, each process
counts by itself. The pushes of agents are always counted in the process, with two floats for each agent: Redis would
cost more than everything else that happens to a frame.
"""

import logging
import math
import time
from collections.abc import Callable
from typing import Any

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from bongsu.core.errors import TooMany
from bongsu.server.auth.directory import Grant
from bongsu.server.auth.principal import Principal, Writer
from bongsu.server.config import RateLimits

logger = logging.getLogger(__name__)

BURST_SECONDS = 10.0


class RateLimiter:
    """One per process."""

    def __init__(
        self, limits: RateLimits, redis_url: str = "", monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._address = parse(limits.address)
        self._user = parse(limits.user)
        self._login = parse(limits.login)
        self._agent = limits.agent_per_second
        self._writer = limits.writer_per_second
        self._monotonic = monotonic
        self._here = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._redis: RedisStorage | None = None
        self._shared: SlidingWindowCounterRateLimiter | None = None
        if redis_url:
            self._redis = RedisStorage(f"async+{redis_url}", implementation="redispy", key_prefix="bongsu")
            self._shared = SlidingWindowCounterRateLimiter(self._redis)
        self._away = False

    async def address(self, address: str) -> None:
        """Counts a request to the API. Raises TooMany."""
        await self._hit(self._address, "address", address)

    async def login(self, address: str) -> None:
        """Counts an attempt to log in, set up or enrol. Raises TooMany."""
        await self._hit(self._login, "login", address)

    async def user(self, principal: Principal) -> None:
        """Counts a request of a person or API token. Raises TooMany."""
        await self._hit(self._user, principal.kind, str(principal.id))

    async def close(self) -> None:
        """Closes the connection to Redis."""
        if self._redis is not None:
            bridge: Any = self._redis.bridge
            await bridge.storage.aclose()

    def agent(self, grant: Grant) -> None:
        """Counts a push with a token bucket (0.3 us). Raises TooMany."""
        self._take(grant, self._agent, "An agent may push")

    def writer(self, writer: Writer) -> None:
        """Counts a request that writes samples. Raises TooMany."""
        self._take(writer, self._writer, "An API token may write")

    def _take(self, bucket: Grant | Writer, per_second: float, what: str) -> None:
        now, burst = self._monotonic(), per_second * BURST_SECONDS
        if bucket.allowance < 0.0:
            bucket.allowance, bucket.counted_at = burst, now
        allowance = min(burst, bucket.allowance + (now - bucket.counted_at) * per_second)
        bucket.counted_at = now
        if allowance < 1.0:
            bucket.allowance = allowance
            raise TooMany(
                f"{what} {per_second:g} times a second on average.",
                retry_after_seconds=math.ceil((1.0 - allowance) / per_second),
                limit=per_second,
            )
        bucket.allowance = allowance - 1.0

    async def _hit(self, rate: RateLimitItem, kind: str, who: str) -> None:
        if self._shared is not None:
            try:
                allowed = await self._shared.hit(rate, kind, who)
                retry_at = 0.0 if allowed else (await self._shared.get_window_stats(rate, kind, who)).reset_time
            except Exception as error:
                if not self._away:
                    logger.warning("Redis is away, rates are counted in this process only: %s", type(error).__name__)
                self._away = True
            else:
                if self._away:
                    logger.warning("Redis is back, rates are counted for all processes again")
                self._away = False
                _refuse(rate, allowed, retry_at)
                return
        allowed = await self._here.hit(rate, kind, who)
        _refuse(rate, allowed, 0.0 if allowed else (await self._here.get_window_stats(rate, kind, who)).reset_time)


def _refuse(rate: RateLimitItem, allowed: bool, retry_at: float) -> None:
    if allowed:
        return
    seconds = max(1, min(math.ceil(retry_at - time.time()), rate.get_expiry()))
    raise TooMany(
        f"Too many requests: {rate.amount} in {rate.get_expiry()} s are allowed; try again in {seconds} s.",
        retry_after_seconds=seconds,
        limit=rate.amount,
    )
