"""One part of the API each; they know nothing of jobs."""
