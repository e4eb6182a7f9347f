"""``bongsu agent run | once | top | check | status``: the words after ``bongsu agent``."""

import argparse
import sys
from collections.abc import Sequence

from bongsu.core.errors import BongsuError

# Flags that are keys of the configuration.
_SETTINGS = {
    "--server": ("server", "URL", "address of the API server; several, with commas, are tried in turn"),
    "--interval": ("interval", "TIME", "how often to sample, such as 10s"),
    "--name": ("name", "NAME", "name to show for this machine (default: its host name)"),
    "--data-dir": ("data_dir", "DIR", "where identity and buffer are kept"),
}


def main(argv: Sequence[str]) -> int:
    """Returns the exit status: 0 well, 1 failed, 2 wrongly called or configured."""
    options = _parser().parse_args(list(argv))
    flags = {key: getattr(options, key) for key, _, _ in _SETTINGS.values() if getattr(options, key, None)}
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

            return status(options.config, flags, form=options.format)
        if options.command in ("enrol", "rotate-token"):
            from bongsu.agent.commands.enrol import enrol, rotate

            return (enrol if options.command == "enrol" else rotate)(options.config, flags)
        from bongsu.agent.commands.once import once

        return once(options.config, flags, form=options.format)
    except BongsuError as error:
        print(f"bongsu agent: {error.message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # | head
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bongsu agent", description="Watches this machine for a Bongsu server.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", default="", metavar="FILE", help="settings, see config/agent.yml")
    for flag, (key, metavar, text) in _SETTINGS.items():
        common.add_argument(flag, dest=key, metavar=metavar, help=text)
    commands.add_parser("run", parents=[common], help="sample and send until told to stop")
    once = commands.add_parser("once", parents=[common], help="print what would be sent, and send nothing")
    once.add_argument("--format", choices=("table", "json", "prometheus"), default="table")
    commands.add_parser("top", parents=[common], help="watch this machine live in the terminal")
    commands.add_parser("check", parents=[common], help="test configuration, permissions and the way to the server")
    commands.add_parser("enrol", parents=[common], help="get this machine's token; reads the enrolment token, or asks")
    commands.add_parser("rotate-token", parents=[common], help="replace this machine's token by a new one")
    status = commands.add_parser("status", parents=[common], help="what the running agent does and costs")
    status.add_argument("--format", choices=("table", "json"), default="table")
    return parser
