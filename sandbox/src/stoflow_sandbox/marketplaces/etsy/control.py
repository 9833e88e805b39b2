"""Client of the Etsy sandbox's own control calls, beside those that every marketplace sandbox has."""

from dataclasses import dataclass, fields
from typing import Any

from stoflow_sandbox.marketplaces.control import AsyncSandboxControl, JsonObject, SandboxControl


@dataclass(frozen=True, slots=True)
class SeededShop:
    """What a connector needs to act for a seller; `refresh_token` is None until the seller consents."""

    username: str
    client_id: str
    client_secret: str
    user_id: int
    shop_id: int
    currency: str
    refresh_token: str | None
    scopes: list[str]
    shipping_profile_ids: list[int]
    return_policy_ids: list[int]
    readiness_state_ids: list[int]
    webhook_secret: str


def _seed(username: str, client_id: str, client_secret: str, options: JsonObject) -> JsonObject:
    identity = {"username": username, "client_id": client_id, "client_secret": client_secret}
    return identity | {name: value for name, value in options.items() if value is not None}


def _seeded(content: JsonObject, client_secret: str) -> SeededShop:
    known = {field.name for field in fields(SeededShop)}
    values = {name: value for name, value in content.items() if name in known}
    return SeededShop(**values, client_secret=client_secret)


class EtsySandboxControl(SandboxControl):
    """Synchronous control of one Etsy sandbox."""

    def seed_shop(self, username: str, *, client_id: str, client_secret: str, **options: Any) -> SeededShop:
        """Make or renew a seller with a shop; options are those of the control call."""
        content = self.call("POST", "sellers", _seed(username, client_id, client_secret, options))
        return _seeded(content, client_secret)

    def consent(self, username: str, url: str) -> str:
        """Agree to an authorization request as this seller; return where the browser would go."""
        redirect: str = self.call("POST", f"sellers/{username}/consent", {"url": url})["redirect_url"]
        return redirect

    def buy(self, username: str, *lines: JsonObject, **options: Any) -> int:
        """Buy lines of {"listing_id" or "sku", "quantity"}; return the receipt's id."""
        content = self.call("POST", f"sellers/{username}/orders", {"lines": list(lines)} | options)
        receipt_id: int = content["receipt_id"]
        return receipt_id

    def change_receipt(self, username: str, receipt_id: int, change: str, **options: Any) -> None:
        """Do one of cancel, refund and ship to an order."""
        self.call("POST", f"sellers/{username}/orders/{receipt_id}/{change}", options)

    def set_limits(self, **limits: Any) -> None:
        self.call("POST", "limits", limits)

    def webhooks(self) -> list[JsonObject]:
        sent: list[JsonObject] = self.call("GET", "webhooks")["webhooks"]
        return sent

    def repeat_webhook(self, webhook_id: str, *, is_forged: bool = False) -> int | None:
        status: int | None = self.call("POST", f"webhooks/{webhook_id}/repeat", {"is_forged": is_forged})[
            "status"
        ]
        return status


class AsyncEtsySandboxControl(AsyncSandboxControl):
    """The calls of EtsySandboxControl, to be awaited."""

    async def seed_shop(
        self, username: str, *, client_id: str, client_secret: str, **options: Any
    ) -> SeededShop:
        """Make or renew a seller with a shop; options are those of the control call."""
        content = await self.call("POST", "sellers", _seed(username, client_id, client_secret, options))
        return _seeded(content, client_secret)

    async def consent(self, username: str, url: str) -> str:
        """Agree to an authorization request as this seller; return where the browser would go."""
        content = await self.call("POST", f"sellers/{username}/consent", {"url": url})
        redirect: str = content["redirect_url"]
        return redirect

    async def buy(self, username: str, *lines: JsonObject, **options: Any) -> int:
        """Buy lines of {"listing_id" or "sku", "quantity"}; return the receipt's id."""
        content = await self.call("POST", f"sellers/{username}/orders", {"lines": list(lines)} | options)
        receipt_id: int = content["receipt_id"]
        return receipt_id

    async def change_receipt(self, username: str, receipt_id: int, change: str, **options: Any) -> None:
        """Do one of cancel, refund and ship to an order."""
        await self.call("POST", f"sellers/{username}/orders/{receipt_id}/{change}", options)

    async def set_limits(self, **limits: Any) -> None:
        await self.call("POST", "limits", limits)

    async def webhooks(self) -> list[JsonObject]:
        sent: list[JsonObject] = (await self.call("GET", "webhooks"))["webhooks"]
        return sent
