"""What a connector says about the authorization of accounts: how sellers give it, and how tokens are refreshed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class RefreshedTokens:
    """What a refresh gave, or the exchange of an authorization code.

    Attributes:
        access_token: The new access token.
        expire_time: When it ends, aware.
        refresh_token: The new refresh token; empty when a refresh did not rotate it.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthDescription:
    """How to send a seller to the marketplace's consent page (OAuth 2.0, authorization code).

    Attributes:
        authorize_url: The page, without parameters.
        client_id: Our application's id; no secret.
        scopes: What to ask for.
        pkce: Whether the code is bound to the exchange by PKCE with S256 (RFC 7636).
        extra_parameters: Further parameters of the page.
    """

    authorize_url: str
    client_id: str
    scopes: Sequence[str] = ()
    pkce: bool = False
    extra_parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedAccount:
    """What the exchange of an authorization code gave.

    Attributes:
        tokens: With a refresh token.
        remote_account_id: The marketplace's own id of the seller, at most 200 characters. A seller's notifications
            are found by it, and an account that is connected again must keep it.
        display_name: The seller's name; it names an account that has none.
        sites: The sites that the seller sells on, the default first; for an account that has none.
        settings: What was learned of the account's settings; None for nothing. What the account has already stays.
    """

    tokens: RefreshedTokens
    remote_account_id: str
    display_name: str = ""
    sites: Sequence[str] = ()
    settings: Mapping[str, Any] | None = None


class CodeExchanger(Protocol):
    """Exchanges authorization codes at one marketplace."""

    async def exchange(self, code: str, redirect_uri: str, code_verifier: str) -> ConnectedAccount:
        """Exchanges a code and asks the marketplace who consented.

        It has no task's lease or token; its requests must be bounded in time by themselves, 60 seconds in all.

        Args:
            code: As the marketplace gave it to the seller's browser.
            redirect_uri: With which the consent was asked for.
            code_verifier: Of PKCE; empty when the description asks for none.

        Raises:
            AuthRequiredError: The marketplace refuses the code: it was used, is over, or is another application's.
            PermanentError: The account cannot be used for another reason.
            RetryableError: It did not answer, or not sensibly; the code is tried again.
        """
        ...


@dataclass(frozen=True, slots=True)
class Authorization:
    """An authorization code with what its exchange needs.

    Attributes:
        grant_id: The right to save what the exchange gives.
        code: The code.
        redirect_uri: With which the consent was asked for.
        code_verifier: Of PKCE; empty for none.
    """

    grant_id: str
    code: str = field(repr=False)
    redirect_uri: str
    code_verifier: str = field(default="", repr=False)
