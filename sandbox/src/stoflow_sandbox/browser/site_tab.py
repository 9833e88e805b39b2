"""A tab of the site: signs in by the page, reads the page's token, performs calls as the page would."""

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import httpx

from stoflow_sandbox.browser.operations import OPERATIONS


class _Metas(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "meta" and given.get("name") and given.get("content"):
            self.found[given["name"] or ""] = given["content"] or ""


class SiteTab:
    """One tab; its cookies are those of the browser."""

    def __init__(self, site_url: str) -> None:
        self.site_url = site_url.rstrip("/")
        # A command brings its own, shorter time limit.
        self._http = httpx.AsyncClient(
            base_url=self.site_url, headers={"origin": self.site_url}, trust_env=False, timeout=120
        )
        self._token = ""
        self.user: dict[str, str] | None = None

    async def sign_in(self, login: str, password: str) -> None:
        """Fill in the login form; `user` stays None when the site refuses."""
        await self._http.post("/member/login", data={"login": login, "password": password})
        await self.load()

    async def load(self) -> None:
        """Open the front page and read who is signed in."""
        metas = _Metas()
        metas.feed((await self._http.get("/", follow_redirects=True)).text)
        self._token = metas.found.get("csrf-token", "")
        user_id, login = metas.found.get("user-id"), metas.found.get("user-login")
        self.user = {"id": user_id, "login": login} if user_id and login else None

    async def perform(
        self, operation: str, parameters: Mapping[str, Any], photo: bytes | None
    ) -> httpx.Response:
        """Send one call whose parameters were checked; `photo` is the file of an upload."""
        known = OPERATIONS[operation]
        path, query = known.target(parameters)
        headers = {"accept": "application/json"}
        if known.method != "GET":
            headers["x-csrf-token"] = self._token
        arguments: dict[str, Any] = {}
        if photo is not None:
            arguments["data"] = {"photo[type]": "item", "photo[temp_uuid]": parameters["temp_uuid"]}
            arguments["files"] = {"photo[file]": (parameters["file_name"], photo, parameters["media_type"])}
        elif "body" in parameters:
            arguments["json"] = parameters["body"]
        return await self._http.request(known.method, path, params=query, headers=headers, **arguments)

    async def close(self) -> None:
        await self._http.aclose()
