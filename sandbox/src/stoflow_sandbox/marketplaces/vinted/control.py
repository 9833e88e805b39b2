"""Client of the Vinted sandbox's control API, for tests and the demo."""

from dataclasses import dataclass

from stoflow_sandbox.marketplaces.control import AsyncSandboxControl, JsonObject, SandboxControl, _Ask


@dataclass(frozen=True, slots=True)
class SeededMember:
    """Who can sign in."""

    login: str
    password: str
    user_id: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session without the login page: what a browser would hold."""

    cookie_name: str
    cookie: str
    csrf_token: str


def _ask_seed(login: str, password: str, options: JsonObject) -> _Ask:
    return _Ask("POST", "members", {"login": login, "password": password} | options)


class VintedSandboxControl(SandboxControl):
    """Synchronous control of one Vinted sandbox."""

    def seed_member(self, login: str, password: str = "a-password", **options: object) -> SeededMember:  # noqa: S107 - of a sandbox
        """Make or renew a member; options are those of the control call."""
        content = self._do(_ask_seed(login, password, dict(options)))
        return SeededMember(login, password, content["user_id"])

    def sign_in(self, login: str) -> SignedIn:
        return SignedIn(**self._do(_Ask("POST", f"members/{login}/sessions")))

    def sign_out(self, login: str) -> None:
        """End every session of the member, as when sessions expire."""
        self._do(_Ask("DELETE", f"members/{login}/sessions"))

    def ask_captcha(self, login: str) -> None:
        """Answer 403 with a captcha from now on, until a person solves it."""
        self._do(_Ask("POST", f"members/{login}/captcha"))

    def end_captcha(self, login: str) -> None:
        self._do(_Ask("DELETE", f"members/{login}/captcha"))

    def sell(self, item_id: str, buyer: str = "a-buyer") -> JsonObject:
        return self._do(_Ask("POST", f"items/{item_id}/sell", {"buyer": buyer}))

    def item(self, item_id: str) -> JsonObject:
        return self._do(_Ask("GET", f"items/{item_id}"))

    def wardrobe(self, login: str) -> JsonObject:
        """Return {items, photos, sales, deleted, created} of a member."""
        content = self._do(_Ask("GET", "state", params={"member": login}))
        member: JsonObject = content["members"][login]
        return member


class AsyncVintedSandboxControl(AsyncSandboxControl):
    """The calls of VintedSandboxControl, to be awaited."""

    async def seed_member(self, login: str, password: str = "a-password", **options: object) -> SeededMember:  # noqa: S107 - of a sandbox
        """Make or renew a member; options are those of the control call."""
        content = await self._do(_ask_seed(login, password, dict(options)))
        return SeededMember(login, password, content["user_id"])

    async def sign_in(self, login: str) -> SignedIn:
        return SignedIn(**await self._do(_Ask("POST", f"members/{login}/sessions")))

    async def sign_out(self, login: str) -> None:
        """End every session of the member, as when sessions expire."""
        await self._do(_Ask("DELETE", f"members/{login}/sessions"))

    async def ask_captcha(self, login: str) -> None:
        """Answer 403 with a captcha from now on, until a person solves it."""
        await self._do(_Ask("POST", f"members/{login}/captcha"))

    async def end_captcha(self, login: str) -> None:
        await self._do(_Ask("DELETE", f"members/{login}/captcha"))

    async def sell(self, item_id: str, buyer: str = "a-buyer") -> JsonObject:
        return await self._do(_Ask("POST", f"items/{item_id}/sell", {"buyer": buyer}))

    async def item(self, item_id: str) -> JsonObject:
        return await self._do(_Ask("GET", f"items/{item_id}"))

    async def wardrobe(self, login: str) -> JsonObject:
        """Return {items, photos, sales, deleted, created} of a member."""
        content = await self._do(_Ask("GET", "state", params={"member": login}))
        member: JsonObject = content["members"][login]
        return member
