"""What a connector says about refreshing access tokens."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RefreshedTokens:
    """What a refresh gave.

    Attributes:
        access_token: The new access token.
        expire_time: When it ends, aware.
        refresh_token: The new refresh token; empty when the marketplace does not rotate it.
    """

    access_token: str = field(repr=False)
    expire_time: datetime
    refresh_token: str = field(default="", repr=False)


class TokenRefresher(Protocol):
    """Refreshes one marketplace's access tokens; called by one process at a time for each account."""

    async def refresh(self, refresh_token: str) -> RefreshedTokens:
        """Asks the marketplace for a new access token.

        Raises:
            AuthRequiredError: The marketplace refused: the seller must connect the account again.
            RetryableError: It did not answer, or not sensibly.
        """
        ...
