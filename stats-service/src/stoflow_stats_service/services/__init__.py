"""Use cases: counting facts, answering figures."""
