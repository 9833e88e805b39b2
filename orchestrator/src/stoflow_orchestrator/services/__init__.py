"""Use cases: one transaction each, never held across a remote call."""
