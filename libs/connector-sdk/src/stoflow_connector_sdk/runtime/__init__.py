"""What runs a connector: commands in, service methods called, results out."""
