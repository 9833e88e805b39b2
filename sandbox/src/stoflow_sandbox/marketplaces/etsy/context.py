"""What a rule needs beside the state and the request."""

from dataclasses import dataclass

from stoflow_sandbox.marketplaces.etsy.state import Ids


@dataclass(frozen=True, slots=True)
class Context:
    """The moment, the number ranges, and how the client reached the sandbox."""

    now: float
    ids: Ids
    base_url: str
