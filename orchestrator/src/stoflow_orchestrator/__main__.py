"""`stoflow-orchestrator` runs the service; `migrate` upgrades `public` and every tenant, then ends."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from stoflow_orchestrator.bootstrap import SERVICE, start
from stoflow_orchestrator.services.upgrades import upgrade_all
from stoflow_orchestrator.settings import MigrateSettings, OrchestratorSettings
from stoflow_service_kit.command_line import read_command_line
from stoflow_service_kit.lifecycle import run_service
from stoflow_service_kit.logs import configure_logs
from stoflow_service_kit.settings import load_settings

DISTRIBUTION = "stoflow-orchestrator"
DESCRIPTION = "Owns tenants, catalogue, accounts, jobs, tasks and batches; serves until it is told to stop."
COMMANDS = {
    "migrate": "upgrades `public` and every tenant, then ends; reads DATABASE_URL and the log settings"
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the service or its one command; returns the exit code."""
    command = read_command_line(
        DISTRIBUTION, DESCRIPTION, OrchestratorSettings, commands=COMMANDS, arguments=arguments
    )
    if command == "migrate":
        migrate_settings = load_settings(MigrateSettings)
        configure_logs(migrate_settings.log_level, migrate_settings.log_format, service=SERVICE)
        return asyncio.run(upgrade_all(migrate_settings.database_url))
    settings = load_settings(OrchestratorSettings)
    return run_service(SERVICE, settings, lambda lifecycle: start(settings, lifecycle))


if __name__ == "__main__":
    sys.exit(main())
