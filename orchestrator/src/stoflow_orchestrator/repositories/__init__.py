"""Every SQL statement of the orchestrator."""
