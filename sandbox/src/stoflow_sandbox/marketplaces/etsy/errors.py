"""The shapes in which Etsy refuses: {"error": "..."}, with a description where OAuth adds one."""

from stoflow_sandbox.marketplaces.exchange import Reply


def refuse(status: int, *violations: str) -> Reply:
    """Return a refusal that names every violation in its one string."""
    return Reply(status, {"error": " ".join(violations)})


def refuse_oauth(status: int, code: str, description: str) -> Reply:
    return Reply(status, {"error": code, "error_description": description})


def not_found(thing: str, number: int | str) -> Reply:
    return refuse(404, f"Could not find a {thing} with id {number}.")
