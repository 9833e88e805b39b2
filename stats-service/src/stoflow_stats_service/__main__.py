"""`stoflow-stats-service` runs the service; with `migrate` it only brings the schema up to date."""

import asyncio
import sys
from collections.abc import Sequence

from stoflow_service_kit.command_line import read_command_line
from stoflow_service_kit.lifecycle import run_service
from stoflow_service_kit.logs import configure_logs
from stoflow_service_kit.settings import load_settings
from stoflow_stats_service.bootstrap import SERVICE, migrate_when_reachable, start
from stoflow_stats_service.settings import MigrateSettings, StatsSettings

DISTRIBUTION = "stoflow-stats-service"
DESCRIPTION = "Counts result events and answers statistics until it is told to stop."
COMMANDS = {
    "migrate": "brings the schema `stats` up to date, then ends; reads DATABASE_URL and the log settings"
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the service or its one command; returns the exit code."""
    command = read_command_line(
        DISTRIBUTION, DESCRIPTION, StatsSettings, commands=COMMANDS, arguments=arguments
    )
    if command == "migrate":
        settings = load_settings(MigrateSettings)
        configure_logs(settings.log_level, settings.log_format, service=SERVICE)
        asyncio.run(migrate_when_reachable(settings.database_url))
        return 0
    service_settings = load_settings(StatsSettings)
    return run_service(SERVICE, service_settings, lambda lifecycle: start(service_settings, lifecycle))


if __name__ == "__main__":
    sys.exit(main())
