"""The schema's history, and bringing a database to its newest revision."""
