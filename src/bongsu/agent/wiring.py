"""Builds the agent's parts from its configuration."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import psutil

from bongsu import __version__
from bongsu.agent.collectors import COLLECTORS
from bongsu.agent.collectors.base import Collector, Options, ProblemReporter
from bongsu.agent.collectors.host import find_host
from bongsu.agent.config import CollectorConfig, Config
from bongsu.agent.delivery.backlog import Backlog
from bongsu.agent.delivery.credentials import Credentials
from bongsu.agent.delivery.sender import Sender
from bongsu.agent.delivery.transport import Transport
from bongsu.agent.http import Connection, Url, tls_context
from bongsu.agent.log import EventLog, Log
from bongsu.agent.pace import Pace
from bongsu.agent.stats import Stats
from bongsu.core import pacing
from bongsu.core.errors import ConfigError
from bongsu.core.samples import AgentIdentity, Frame, HostFacts
from bongsu.core.series import Layout

if TYPE_CHECKING:
    from bongsu.agent.scrape.scraper import Scraper
    from bongsu.agent.scrape.target import Target


def make_collectors(
    config: Config, report_problem: ProblemReporter, stats: Stats | None = None
) -> list[tuple[Collector, int]]:
    """The enabled collectors, each with its interval in ms (0: the agent's interval). Leaves out collectors that fail
    to start. ``stats`` is None in a command that runs beside the agent.

    Raises:
        ConfigError: a setting of a collector is wrong.
    """
    # psutil warns of every field that a kernel does not have; the collectors leave those out
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="psutil")
    host = find_host()
    if host.root:
        psutil.PROCFS_PATH = host.proc
    collectors: list[tuple[Collector, int]] = []
    for collector_class in COLLECTORS:
        collector_config = config.collectors.get(collector_class.name, CollectorConfig())
        enabled = collector_class.enabled if collector_config.enabled is None else collector_config.enabled
        if not enabled:
            continue
        options = Options(
            collector_config.filters,
            collector_config.settings,
            proc=psutil.PROCFS_PATH,
            sys=host.sys,
            root=host.root,
            report_problem=report_problem,
            may_listen=stats is not None,
            stats=stats or Stats(),
            tags=config.tags,
            version=__version__,
        )
        try:
            collector = collector_class(psutil, options)
        except ConfigError:
            raise
        except Exception as error:  # a half-installed driver, for example; the other collectors go on
            report_problem(
                f"collector {collector_class.name}", f"Collector {collector_class.name} cannot start: {error}"
            )
            continue
        collectors.append((collector, collector_config.interval_ms or collector_class.interval_seconds * 1000))
    return collectors


def make_targets(config: Config) -> "list[Target]":
    """The targets to scrape, with the textfiles last."""
    if not config.scrape and not config.textfiles:
        return []
    # here, because an agent without targets needs none of it
    from bongsu.agent.scrape.target import http_target, textfile_target

    targets = [http_target(target) for target in config.scrape]
    if config.textfiles:
        targets.append(textfile_target(config.textfiles, config.interval_ms))
    return targets


def make_target_collectors(config: Config) -> list[Collector]:
    """The targets to scrape, for commands that show readings."""
    targets = make_targets(config)
    if not targets:
        return []
    from bongsu.agent.scrape.readings import TargetCollector

    return [TargetCollector(psutil, target) for target in targets]


def make_scraper(
    config: Config, *, sink: Callable[[Frame, Layout], None], log: EventLog, stats: Stats
) -> "Scraper | None":
    """None if there is nothing to scrape."""
    targets = make_targets(config)
    if not targets:
        stats.targets = {}
        return None
    from bongsu.agent.scrape.scraper import Scraper

    return Scraper(targets, sink=sink, log=log, stats=stats)


def make_log(config: Config) -> Log:
    return Log(
        level=config.log_level,
        path=config.log_file,
        format=config.log_format,
        max_bytes=config.log_bytes,
        files=config.log_files,
        secrets=(config.token, config.enrolment_token),
    )


def make_identity(config: Config, agent_id: str, hostname: str) -> AgentIdentity:
    return AgentIdentity(agent_id, config.name or hostname, __version__, config.interval_ms, config.tags)


def make_credentials(config: Config, agent_id: str) -> Credentials:
    return Credentials(
        agent_id,
        config.data_dir,
        token=config.token,
        token_file=config.token_file,
        enrolment_token=config.enrolment_token,
        enrolment_token_file=config.enrolment_token_file,
    )


def make_connection(config: Config, url: Url) -> Connection:
    """Raises OSError if the file of the private CA cannot be read."""
    return Connection(
        url,
        timeout_seconds=config.timeout_ms / 1000,
        tls=tls_context(config.ca_file) if url.secure else None,
        proxy=Url.parse(config.proxy) if config.proxy else None,
        server_name=config.server_name,
    )


def make_sender(
    config: Config,
    agent_id: str,
    backlog: Backlog,
    stats: Stats,
    log: EventLog,
    facts: Callable[[], HostFacts],
    pace: Pace,
) -> Sender:
    identity = make_identity(config, agent_id, facts().hostname)
    transport = Transport(
        config.servers,
        credentials=make_credentials(config, agent_id),
        name=identity.name,
        version=__version__,
        proxy=config.proxy,
        ca_file=config.ca_file,
        server_name=config.server_name,
        timeout_seconds=config.timeout_ms / 1000,
    )
    return Sender(
        transport,
        backlog,
        identity=identity,
        facts=facts,
        stats=stats,
        log=log,
        delay_seconds=send_delay_seconds(config, agent_id),
        pace=pace,
        replay_rate=config.replay_rate,
    )


def send_delay_seconds(config: Config, agent_id: str) -> float:
    """How long after a tick the agent sends. Each agent has a fixed delay of its own, so that a fleet does not send all
    at once. It is 0 if the server runs on this machine and so has few agents."""
    if all(Url.parse(server).host in ("127.0.0.1", "localhost", "::1") for server in config.servers):
        return 0.0
    return pacing.send_delay_seconds(agent_id, config.interval_ms)
