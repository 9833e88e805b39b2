"""What the actions do, step by step."""
