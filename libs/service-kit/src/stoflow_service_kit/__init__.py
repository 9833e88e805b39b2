"""What every StoFlow service shares: gRPC server, NATS, settings, logs, metrics."""
