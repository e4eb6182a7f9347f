"""Runs a simulated fleet: enrols the servers, starts each of them, and ends them all."""

import asyncio
from collections.abc import Collection

from bongsu.core.clock import Clock
from bongsu.core.errors import BongsuError, ConfigError
from bongsu.simulator.api import Api
from bongsu.simulator.delivery import Delivery, Uplink
from bongsu.simulator.enrolment import Enrolment, EnrolmentRefused
from bongsu.simulator.incidents import troubles
from bongsu.simulator.machine import machine_name
from bongsu.simulator.options import Options
from bongsu.simulator.server import SimulatedServer
from bongsu.simulator.token_file import TokenFile
from bongsu.simulator.totals import Totals

# How long the last requests may take when the simulator ends.
FINISH_SECONDS = 10.0
# Making a server takes a millisecond or two; those that are ready send in between.
_SERVERS_AT_ONCE = 5


class NotEnrolled(BongsuError):
    """Some servers of the fleet could not enrol."""


class Fleet:
    """``enrolled``: how many servers have a token. ``deliveries``: of those that were started."""

    def __init__(self, options: Options, api: Api, tokens: TokenFile, totals: Totals, clock: Clock) -> None:
        """Raises ConfigError if servers have to enrol and there is no enrolment token, or an incident names others."""
        self.options = options
        self.totals = totals
        self.clock = clock
        self.deliveries: list[Delivery] = []
        self._tokens = tokens
        self.enrolment = Enrolment(api, tokens, options.enrolment_token)
        self.uplink = Uplink(api, self.enrolment, totals, clock, history_ms=options.history_ms)
        self._tasks: dict[asyncio.Task[None], Delivery] = {}
        self._troubles = troubles(
            options.incidents,
            servers=[machine_name(index, options.name_prefix) for index in range(options.servers)],
            seed=options.seed,
            start_ms=clock.now_ms(),
        )
        missing = sum(tokens.get(index) is None for index in range(options.servers))
        if missing and not options.enrolment_token:
            raise ConfigError(
                f"{missing:,} of {options.servers:,} servers are not enrolled at {options.url} yet. Make an enrolment "
                "token for any number of machines in the dashboard (Servers and agents > Add server), and pass it with "
                "--enrolment-token-file, --enrolment-token or BONGSU_SIMULATE_ENROLMENT_TOKEN.",
                field="enrolment-token",
            )

    @property
    def enrolled(self) -> int:
        return len(self.deliveries)

    @property
    def history_left(self) -> int:
        """Frames of the past that are still to be sent."""
        interval_ms = self.options.interval_ms
        return sum(max(0, (delivery.live_ms - delivery.next_ms) // interval_ms) for delivery in self.deliveries)

    async def start(self) -> None:
        """Enrols and starts all servers.

        Raises:
            NotEnrolled: the API server refuses the enrolment token.
        """
        options = self.options
        for index in range(options.servers):
            server = SimulatedServer(
                index,
                seed=options.seed,
                interval_ms=options.interval_ms,
                prefix=options.name_prefix,
                troubles=self._troubles[index],
            )
            try:
                credential = await self.enrolment.credential(index, server.name)
            except EnrolmentRefused as error:
                raise NotEnrolled(
                    f"{server.name} cannot enrol: {error.message} {index:,} of {options.servers:,} servers are "
                    "enrolled and stay so; the others need an enrolment token for any number of machines, which the "
                    "dashboard makes (Servers and agents > Add server)."
                ) from None
            now_ms = self.clock.now_ms()
            delivery = Delivery(
                server,
                credential,
                self.uplink,
                live_ms=now_ms - now_ms % options.interval_ms,
                history_ms=options.history_ms - options.history_ms % options.interval_ms,
            )
            self.deliveries.append(delivery)
            self._tasks[asyncio.create_task(delivery.run())] = delivery
            if index % _SERVERS_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def finished(self) -> None:
        """Returns when every server was refused, or raises what went wrong in one of them."""
        for task in asyncio.as_completed(self._tasks):
            await task

    async def stop(self) -> None:
        """Lets requests that are under way finish, sends what was due once more, and counts the rest as lost."""
        self.uplink.stopping = True
        now_ms = self.clock.now_ms()
        for task, delivery in self._tasks.items():
            if not delivery.sending:
                task.cancel()
        deadline = self.clock.monotonic() + FINISH_SECONDS
        await self._end(self._tasks, deadline)
        last = [asyncio.create_task(delivery.finish(now_ms)) for delivery in self.deliveries if delivery.due(now_ms)]
        await self._end(last, deadline)
        self.totals.lost += sum(delivery.due(now_ms) for delivery in self.deliveries)

    async def _end(self, tasks: Collection[asyncio.Task[None]], deadline: float) -> None:
        """Waits for the tasks, and cancels those that take longer."""
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=max(0.0, deadline - self.clock.monotonic()))
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
