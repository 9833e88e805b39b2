"""Names and shapes of everything that the orchestrator puts on NATS."""
