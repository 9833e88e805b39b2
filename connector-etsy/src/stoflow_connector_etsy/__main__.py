"""`stoflow-connector-etsy` runs the connector until it is told to stop."""

import sys
from collections.abc import Sequence

from stoflow_connector_etsy.bootstrap import make_definition
from stoflow_connector_etsy.settings import EtsySettings
from stoflow_connector_sdk import run_connector
from stoflow_service_kit.command_line import read_command_line
from stoflow_service_kit.settings import load_settings

DISTRIBUTION = "stoflow-connector-etsy"
DESCRIPTION = "Carries out the tasks of Etsy jobs until it is told to stop."


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the settings, builds the connector, serves; returns the exit code."""
    read_command_line(DISTRIBUTION, DESCRIPTION, EtsySettings, arguments=arguments)
    settings = load_settings(EtsySettings)
    return run_connector(make_definition, settings)


if __name__ == "__main__":
    sys.exit(main())
