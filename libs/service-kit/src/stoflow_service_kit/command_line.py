"""The command line that every service has: `--help` names its settings, `--version` its release."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from pydantic_settings import BaseSettings

from stoflow_service_kit.settings_reference import SettingDescription, describe_settings

_WIDTH = 110
_NO_COMMANDS: Mapping[str, str] = {}


def read_command_line(
    distribution: str,
    description: str,
    settings: type[BaseSettings],
    *,
    commands: Mapping[str, str] = _NO_COMMANDS,
    arguments: Sequence[str] | None = None,
) -> str | None:
    """Reads a service's command line; everything else it is told by its environment.

    `--help` and `--version` print and exit with 0, whatever the environment; what is unknown exits with 2.

    Args:
        distribution: Name of the service's distribution, which is its program's name as well.
        description: What it does, in a sentence.
        settings: What it reads from the environment, for `--help`.
        commands: What can be asked for in place of serving, and what each does.
        arguments: The command line; by default this process's own.

    Returns:
        The command asked for; None to serve.
    """
    parser = argparse.ArgumentParser(
        prog=distribution,
        description=textwrap.fill(description, _WIDTH),
        epilog=_epilog(settings, commands),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the release and exit")
    if commands:
        parser.add_argument("command", nargs="?", choices=sorted(commands), help="without one it serves")
    parsed = parser.parse_args(arguments)
    command: str | None = getattr(parsed, "command", None)
    return command


class _Version(argparse.Action):
    """Looks the release up only when it is asked for: that reads the metadata of what is installed."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"{parser.prog} {version(parser.prog)}\n")
        parser.exit()


def _epilog(settings: type[BaseSettings], commands: Mapping[str, str]) -> str:
    lines: list[str] = []
    if commands:
        lines += ["commands:", *(_entry(name, meaning) for name, meaning in sorted(commands.items())), ""]
    lines += ["environment:", *map(_setting, describe_settings(settings))]
    return "\n".join(lines)


def _setting(setting: SettingDescription) -> str:
    if setting.default is None:
        return _entry(setting.variable, f"{setting.meaning}; required")
    default = f" [{setting.default}]" if setting.default else ""
    return _entry(setting.variable, f"{setting.meaning}{default}")


def _entry(name: str, meaning: str) -> str:
    indent = " " * 8
    return f"  {name}\n" + textwrap.fill(
        meaning, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
