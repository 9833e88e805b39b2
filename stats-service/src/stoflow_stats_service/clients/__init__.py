"""The orchestrator's API, as far as it is needed here."""
