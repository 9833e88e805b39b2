"""Owns tenants, catalogue, accounts, jobs, tasks and batches."""
