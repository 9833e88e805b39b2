"""`python -m stoflow_connector_etsy` runs the connector until it is told to stop."""

import sys

from stoflow_connector_etsy.bootstrap import make_definition
from stoflow_connector_etsy.settings import EtsySettings
from stoflow_connector_sdk import run_connector
from stoflow_service_kit.settings import load_settings


def main() -> int:
    """Reads the settings, builds the connector, serves; returns the exit code."""
    settings = load_settings(EtsySettings)
    return run_connector(make_definition, settings)


if __name__ == "__main__":
    sys.exit(main())
