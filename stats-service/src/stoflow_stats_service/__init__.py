"""Consumes result events and answers statistics."""
