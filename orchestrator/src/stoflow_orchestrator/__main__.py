"""`python -m stoflow_orchestrator` runs the service; `migrate` upgrades `public` and every tenant, then ends."""

from __future__ import annotations

import asyncio
import sys

from stoflow_orchestrator.bootstrap import SERVICE, start
from stoflow_orchestrator.services.upgrades import upgrade_all
from stoflow_orchestrator.settings import MigrateSettings, OrchestratorSettings
from stoflow_service_kit.lifecycle import run_service
from stoflow_service_kit.logs import configure_logs
from stoflow_service_kit.settings import load_settings

USAGE = "usage: python -m stoflow_orchestrator [migrate]\n"
USAGE_EXIT_CODE = 2


def main(arguments: list[str]) -> int:
    """Runs the service or its one command; returns the exit code."""
    if arguments == ["migrate"]:
        migrate_settings = load_settings(MigrateSettings)
        configure_logs(migrate_settings.log_level, migrate_settings.log_format, service=SERVICE)
        return asyncio.run(upgrade_all(migrate_settings.database_url))
    if arguments:
        sys.stderr.write(USAGE)
        return USAGE_EXIT_CODE
    settings = load_settings(OrchestratorSettings)
    return run_service(SERVICE, settings, lambda lifecycle: start(settings, lifecycle))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
