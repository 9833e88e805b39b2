"""One remote API each; they know nothing of jobs."""
