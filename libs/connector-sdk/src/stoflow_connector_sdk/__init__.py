"""What a connector team installs: handlers, runtime, error classes."""
