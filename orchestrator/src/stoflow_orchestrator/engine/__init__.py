"""What keeps the promises about jobs: decided in memory, written a group at a time, then published."""
