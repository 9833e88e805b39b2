"""The HTTP client that connectors use: httpx with limits, fenced by the lease."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from stoflow_connector_sdk.errors import AuthRequiredError
from stoflow_connector_sdk.http.failures import transport_failure
from stoflow_connector_sdk.http.hooks import run_request_hooks, run_response_hooks
from stoflow_connector_sdk.http.transport import TOTAL_TIMEOUT, LeaseTransport, effect_after
from stoflow_connector_sdk.task import TaskContext

USER_AGENT = "stoflow/0.1"


class MarketplaceHttpClient:
    """Calls one remote API.

    Inside a task no request starts, and none sends its first byte, unless its timeout fits the remaining
    lease. Redirects are not followed and proxies of the environment are not used: a marketplace's address is
    configured.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        timeout_seconds: float = 20.0,
        connect_timeout_seconds: float = 5.0,
        max_connections: int = 100,
        headers: Mapping[str, str] | None = None,
        user_agent: str = USER_AGENT,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Makes the client; close it with `aclose`.

        Args:
            base_url: What relative addresses start with.
            timeout_seconds: How long one exchange may take in all, from the wait for a connection to the
                last byte.
            connect_timeout_seconds: How long connecting may take.
            max_connections: Connections open at once.
            headers: Sent with each request.
            user_agent: Names the caller.
            transport: What sends instead of the network.
        """
        limits = httpx.Limits(
            max_connections=max_connections, max_keepalive_connections=max_connections, keepalive_expiry=30
        )
        self._timeout_seconds = timeout_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={"user-agent": user_agent, **(headers or {})},
            follow_redirects=False,
            trust_env=False,
            transport=LeaseTransport(transport or httpx.AsyncHTTPTransport(limits=limits, trust_env=False)),
            event_hooks={"request": [run_request_hooks], "response": [run_response_hooks]},
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | str | None = None,
        data: Mapping[str, Any] | None = None,
        files: Mapping[str, Any] | None = None,
        timeout_seconds: float | None = None,
    ) -> httpx.Response:
        """Sends one request and returns the answer, read, whatever its status.

        Args:
            method: GET, PUT, ...
            url: Absolute, or relative to the base address.
            params: The query.
            headers: Beside those of the client.
            json: A body as JSON.
            content: A body as it is.
            data: A form.
            files: Files of a multipart form, as httpx takes them.
            timeout_seconds: In place of the client's own.

        Raises:
            RetryableError: No answer; the effect is NOT_SENT when nothing that changes anything left this
                machine.
            LeaseTooShortError: Not sent, because its timeout does not fit the lease.
            StopRequestedError: Not sent, because the job was cancelled or paused.
        """
        total = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        request = self._client.build_request(
            method,
            url,
            params=params,
            headers=headers,
            json=json,
            content=content,
            data=data,
            files=files,
            timeout=httpx.Timeout(total, connect=min(total, self._connect_timeout_seconds)),
            extensions={TOTAL_TIMEOUT: total},
        )
        try:
            return await self._client.send(request)
        except httpx.TransportError as error:
            raise transport_failure(error, request) from error

    async def request_authorized(
        self, task: TaskContext, method: str, url: str, **arguments: Any
    ) -> httpx.Response:
        """Sends one request with the account's bearer token; after a 401 once more with a refreshed one.

        Args:
            task: The task on whose behalf it is sent.
            method: As in `request`.
            url: As in `request`.
            **arguments: As in `request`.

        Raises:
            AuthRequiredError: The refreshed token was refused too, or refreshing was.
            ConnectorError: As `request` and `TaskContext.get_access_token`.
        """

        async def send(token: str) -> httpx.Response:
            headers = {**(arguments.get("headers") or {}), "authorization": f"Bearer {token}"}
            return await self.request(method, url, **{**arguments, "headers": headers})

        return await with_fresh_token(task, send)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


async def with_fresh_token(
    task: TaskContext, send: Callable[[str], Awaitable[httpx.Response]]
) -> httpx.Response:
    """Sends with the account's token; after a 401 once more with a refreshed one.

    Raises:
        AuthRequiredError: The refreshed token was refused too, or refreshing was.
    """
    token = await task.get_access_token()
    response = await send(token)
    if response.status_code != 401:
        return response
    response = await send(await task.get_access_token(refused=token))
    if response.status_code != 401:
        return response
    raise AuthRequiredError(
        "The marketplace refused a token that was refreshed just now.",
        effect=effect_after(response.request),
        http_status=401,
        raw_body=response.content,
    )
