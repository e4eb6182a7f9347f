"""The command line of ``bongsu agent``."""

import argparse
import sys
from collections.abc import Sequence

from bongsu.core.errors import BongsuError

# Flags that set a key of the configuration: flag -> (key, placeholder, help).
_SETTING_FLAGS = {
    "--server": ("server", "URL", "URL of the API server; separate several with commas, to try them in turn"),
    "--interval": ("interval", "TIME", "how often to sample, such as 10s"),
    "--name": ("name", "NAME", "name of this machine in the dashboard (default: its host name)"),
    "--data-dir": ("data_dir", "DIR", "directory for identity, token and unsent frames"),
}


def main(argv: Sequence[str]) -> int:
    """Returns the exit status: 0 success, 1 failure, 2 wrong arguments or configuration."""
    options = _parser().parse_args(list(argv))
    flags = {key: getattr(options, key) for key, _, _ in _SETTING_FLAGS.values() if getattr(options, key, None)}
    try:
        if options.command == "run":
            from bongsu.agent.commands.run import run

            return run(options.config, flags)
        if options.command == "top":
            from bongsu.agent.commands.top import top

            return top(options.config, flags)
        if options.command == "check":
            from bongsu.agent.commands.check import check

            return check(options.config, flags)
        if options.command == "status":
            from bongsu.agent.commands.status import status

            return status(options.config, flags, format=options.format, running=options.running)
        if options.command in ("enrol", "rotate-token"):
            from bongsu.agent.commands.enrol import enrol, rotate

            return (enrol if options.command == "enrol" else rotate)(options.config, flags)
        from bongsu.agent.commands.once import once

        return once(options.config, flags, format=options.format)
    except BongsuError as error:
        print(f"bongsu agent: {error.message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # | head
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bongsu agent", description="Monitors this machine and sends its metrics to a Bongsu server."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", default="", metavar="FILE", help="configuration file, see config/agent.yml")
    for flag, (key, placeholder, text) in _SETTING_FLAGS.items():
        common.add_argument(flag, dest=key, metavar=placeholder, help=text)
    commands.add_parser("run", parents=[common], help="sample and send until stopped")
    once = commands.add_parser("once", parents=[common], help="print one sample and send nothing")
    once.add_argument("--format", choices=("table", "json", "prometheus"), default="table")
    commands.add_parser("top", parents=[common], help="show this machine live in the terminal")
    commands.add_parser("check", parents=[common], help="find problems with configuration, permissions and connection")
    commands.add_parser("enrol", parents=[common], help="get this machine's token for an enrolment token")
    commands.add_parser("rotate-token", parents=[common], help="replace this machine's token")
    status = commands.add_parser("status", parents=[common], help="show what the running agent does and costs")
    status.add_argument("--format", choices=("table", "json"), default="table")
    status.add_argument(
        "--running", action="store_true", help="succeed if the agent runs, even if its server does not answer"
    )
    return parser
