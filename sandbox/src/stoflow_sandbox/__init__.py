"""One machine: real PostgreSQL and NATS from wheels, marketplace sandboxes, the demo."""
