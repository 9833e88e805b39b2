"""`stoflow-connector-ebay` runs the connector until it is told to stop."""

import sys
from collections.abc import Sequence

from stoflow_connector_ebay.bootstrap import make_definition
from stoflow_connector_ebay.settings import EbaySettings
from stoflow_connector_sdk import run_connector
from stoflow_service_kit.command_line import read_command_line
from stoflow_service_kit.settings import load_settings

DISTRIBUTION = "stoflow-connector-ebay"
DESCRIPTION = "Carries out the tasks of eBay jobs until it is told to stop."


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the settings, builds the connector, serves; returns the exit code."""
    read_command_line(DISTRIBUTION, DESCRIPTION, EbaySettings, arguments=arguments)
    settings = load_settings(EbaySettings)
    return run_connector(make_definition, settings)


if __name__ == "__main__":
    sys.exit(main())
