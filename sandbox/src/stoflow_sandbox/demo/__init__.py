"""A product goes live on every marketplace sandbox, end to end, on one machine."""
