"""What runs in the peers' worker processes."""
