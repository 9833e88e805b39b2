"""Obeys a call from end to end: session, guard, rule, and keeping what changed."""

from typing import Any

from stoflow_sandbox.marketplaces.clock import Clock
from stoflow_sandbox.marketplaces.exchange import Call, Reply, Subject
from stoflow_sandbox.marketplaces.vinted.context import Request
from stoflow_sandbox.marketplaces.vinted.errors import refusal_body, refuse
from stoflow_sandbox.marketplaces.vinted.guard import refuse_call
from stoflow_sandbox.marketplaces.vinted.photos import add_photo, read_upload
from stoflow_sandbox.marketplaces.vinted.routes import find_operation
from stoflow_sandbox.marketplaces.vinted.sessions import find_session
from stoflow_sandbox.marketplaces.vinted.state import Member, Session, World
from stoflow_sandbox.marketplaces.vinted.store import Store


class VintedMarketplace:
    """The site, as far as it is modelled."""

    def __init__(self, world: World, store: Store, clock: Clock) -> None:
        self.world = world
        self.store = store
        self.clock = clock

    def identify(self, call: Call) -> Subject:
        """Name the call; Vinted has no SKU, so that an item's title stands in its place."""
        found = find_operation(call.method, call.path)
        _, member = self._signed_in(call)
        login = member.login if member is not None else None
        if found is None:
            return Subject("unknown", login)
        operation, path = found
        return Subject(operation.name, login, _title(call, path, member))

    def _signed_in(self, call: Call) -> tuple[Session | None, Member | None]:
        session = find_session(self.world, call.headers.get("cookie", ""), self.clock.now())
        return session, self.world.members.get(session.login) if session is not None else None

    async def respond(self, call: Call) -> Reply:
        found = find_operation(call.method, call.path)
        session, member = self._signed_in(call)
        if refused := refuse_call(call, session, member, self.clock.now()):
            return refused
        if found is None or member is None:
            return refuse(404)
        operation, path = found
        request = Request(call, path, member, self.world, self.clock.now())
        if operation.rule is not None:
            reply = operation.rule(request)
        else:
            reply = await self._add_photo(request)
        if reply.effects:
            self.store.save(self.world, member)
        return reply

    async def _add_photo(self, request: Request) -> Reply:
        reply, picture = add_photo(request, await read_upload(request.call))
        if picture is not None:
            self.store.save_picture(picture)
        return reply

    def fault_content(self, status: int, path: str) -> Any:  # noqa: ARG002 - one shape for all paths
        """Return the body that goes with an injected status."""
        return refusal_body(status)


def _title(call: Call, path: dict[str, str], member: Member | None) -> str | None:
    item = member.items.get(path.get("item_id", "")) if member is not None else None
    if item is not None:
        return item.title
    fields = call.json.get("item") if isinstance(call.json, dict) else None
    title = fields.get("title") if isinstance(fields, dict) else None
    return title if isinstance(title, str) else None
