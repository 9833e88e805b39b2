"""What the orchestrator calls beside its database and NATS."""
