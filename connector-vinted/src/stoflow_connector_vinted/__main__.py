"""`stoflow-connector-vinted` runs the connector until it is told to stop."""

import sys
from collections.abc import Sequence

from stoflow_connector_sdk import run_connector
from stoflow_connector_vinted.bootstrap import make_definition
from stoflow_connector_vinted.settings import VintedSettings
from stoflow_service_kit.command_line import read_command_line
from stoflow_service_kit.settings import load_settings

DISTRIBUTION = "stoflow-connector-vinted"
DESCRIPTION = "Carries out the tasks of Vinted jobs in the sellers' own browsers until it is told to stop."


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the settings, builds the connector, serves; returns the exit code."""
    read_command_line(DISTRIBUTION, DESCRIPTION, VintedSettings, arguments=arguments)
    settings = load_settings(VintedSettings)
    return run_connector(make_definition, settings)


if __name__ == "__main__":
    sys.exit(main())
