"""`python -m stoflow_connector_vinted` runs the connector until it is told to stop."""

import sys

from stoflow_connector_sdk import run_connector
from stoflow_connector_vinted.bootstrap import make_definition
from stoflow_connector_vinted.settings import VintedSettings
from stoflow_service_kit.settings import load_settings


def main() -> int:
    """Reads the settings, builds the connector, serves; returns the exit code."""
    return run_connector(make_definition, load_settings(VintedSettings))


if __name__ == "__main__":
    sys.exit(main())
