"""`python -m stoflow_stats_service` runs the service; with `migrate` it only brings the schema up to date."""

import asyncio
import sys

from stoflow_service_kit.lifecycle import run_service
from stoflow_service_kit.logs import configure_logs
from stoflow_service_kit.settings import load_settings
from stoflow_stats_service.bootstrap import SERVICE, migrate_when_reachable, start
from stoflow_stats_service.settings import MigrateSettings, StatsSettings

USAGE = "usage: python -m stoflow_stats_service [migrate]\n"
USAGE_EXIT_CODE = 2


def main(arguments: list[str]) -> int:
    """Runs the service or its one command; returns the exit code."""
    if arguments == ["migrate"]:
        settings = load_settings(MigrateSettings)
        configure_logs(settings.log_level, settings.log_format, service=SERVICE)
        asyncio.run(migrate_when_reachable(settings.database_url))
        return 0
    if arguments:
        sys.stderr.write(USAGE)
        return USAGE_EXIT_CODE
    service_settings = load_settings(StatsSettings)
    return run_service(SERVICE, service_settings, lambda lifecycle: start(service_settings, lifecycle))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
