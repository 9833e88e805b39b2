"""Pictures by address: nobody makes this service speak to what is not public."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from stoflow.catalog.v1.product_pb2 import Product
from stoflow.catalog.v1.product_service_pb2 import FetchProductImageRequest

from stoflow_orchestrator.clients.address_guard import AddressGuard, parse_networks, resolve_by_system
from stoflow_orchestrator.clients.image_source import ImageFetchFailedError, ImageSource
from stoflow_orchestrator.services import images
from tests.integration.orchestrator_catalog.catalog_api import CatalogApi, new_id, picture, refusal
from tests.integration.orchestrator_catalog.picture_server import PictureServer, redirect, response

REFUSED = (grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_ADDRESS_REFUSED")
FAILED = (grpc.StatusCode.FAILED_PRECONDITION, "IMAGE_FETCH_FAILED")
INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_INVALID")
# Loopback addresses: the first is allowed to the services under test, the second is not.
ALLOWED, FORBIDDEN = "127.0.0.1", "127.0.0.2"


class Names:
    """A name server of a test's own: each question takes the next answer, the last one stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[str]] = {}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.answers.get(host)
        if answers is None:
            return await resolve_by_system(host, port)
        return [answers.pop(0) if len(answers) > 1 else answers[0]]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def shop(database_url: str, tmp_path: Path, names: Names) -> AsyncIterator[CatalogApi]:
    """The services, allowed to fetch from one loopback address."""
    guard = AddressGuard(parse_networks(f"{ALLOWED}/32"), names.resolve)
    started = await CatalogApi.start(database_url, tmp_path / "images", guard)
    yield started
    await started.stop()


@pytest.fixture
async def server() -> AsyncIterator[PictureServer]:
    """A web server at the allowed address with one picture."""
    async with PictureServer(ALLOWED) as started:
        started.answers["/picture.jpg"] = response(picture())
        yield started


@pytest.fixture
async def inner(server: PictureServer) -> AsyncIterator[PictureServer]:
    """What must never be reached: at the other address, behind the same port."""
    async with PictureServer(FORBIDDEN, server.port) as started:
        started.answers["/picture.jpg"] = response(picture("PNG"))
        yield started


async def new_product(api: CatalogApi) -> Product:
    return await api.new_product(await api.new_tenant())


async def fetch(api: CatalogApi, product: Product, url: str, request_id: str = "") -> Product:
    request = FetchProductImageRequest(
        request_id=request_id or new_id(), tenant_id=product.tenant_id, product_id=product.product_id, url=url
    )
    return (await api.products.FetchProductImage(request)).product


async def test_picture_is_fetched(shop: CatalogApi, server: PictureServer) -> None:
    """A picture behind an address is appended as an uploaded one is, without its address."""
    product = await new_product(shop)
    fetched = await fetch(shop, product, server.url())
    uploaded = await shop.add_image(product.tenant_id, product.product_id, picture())
    first, second = uploaded.images
    assert first.content_sha256 == second.content_sha256
    assert (fetched.version, fetched.images[0].content_type) == (2, "image/jpeg")
    (head,) = server.requests
    assert f"Host: {ALLOWED}:{server.port}" in head
    assert "Accept-Encoding: identity" in head


async def test_repeat_does_not_fetch_again(shop: CatalogApi, server: PictureServer) -> None:
    """A repeated call is answered without a request to the address; another address under its id is refused."""
    product, request_id = await new_product(shop), new_id()
    first = await fetch(shop, product, server.url(), request_id)
    assert await fetch(shop, product, server.url(), request_id) == first
    assert server.connections == 1
    error = await refusal(fetch(shop, product, server.url("/other.jpg"), request_id))
    assert error.reason == "REQUEST_ID_REUSED"


async def test_loopback_is_refused_by_direct_address(api: CatalogApi, server: PictureServer) -> None:
    """Without an exception no spelling of this machine's own address is connected to."""
    product = await new_product(api)
    for host in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"):
        error = await refusal(fetch(api, product, server.url(host=host)))
        assert (error.code, error.reason) == REFUSED, host
    for host in ("localhost", "127.1", "0x7f000001", "2130706433", "0.0.0.0"):
        error = await refusal(fetch(api, product, server.url(host=host)))
        # A resolver need not know them.
        assert (error.code, error.reason) in {REFUSED, FAILED}, host
    assert server.connections == 0


async def test_private_and_link_local_addresses_are_refused(shop: CatalogApi) -> None:
    """What only the service's own network reaches is refused at once."""
    product = await new_product(shop)
    for url in ("http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://[fd00::1]/"):
        error = await refusal(fetch(shop, product, url))
        assert (error.code, error.reason) == REFUSED, url
        assert [violation.field for violation in error.violations] == ["url"]


async def test_redirect_to_a_forbidden_address_is_refused(
    shop: CatalogApi, server: PictureServer, inner: PictureServer
) -> None:
    """A public address cannot pass the fetch on to one that is not, whatever kind of redirect it uses."""
    product = await new_product(shop)
    statuses = ("301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent")
    for status in statuses:
        server.answers["/away"] = redirect(inner.url(), status)
        error = await refusal(fetch(shop, product, server.url("/away")))
        assert (error.code, error.reason) == REFUSED, status
    assert (server.connections, inner.connections) == (len(statuses), 0)


async def test_redirects_are_followed(shop: CatalogApi, server: PictureServer) -> None:
    """Five redirects, relative ones too, lead to the picture; the sixth is one too many."""
    for number in range(1, 7):
        server.answers[f"/{number}"] = redirect(f"/{number - 1}" if number > 1 else "picture.jpg")
    product = await new_product(shop)
    assert (await fetch(shop, product, server.url("/5"))).images
    error = await refusal(fetch(shop, product, server.url("/6")))
    assert (error.code, error.reason) == FAILED


async def test_name_is_resolved_once_and_the_checked_address_is_connected_to(
    shop: CatalogApi, names: Names, server: PictureServer, inner: PictureServer
) -> None:
    """A name that changes its address after the check leads where the check looked, and nowhere else."""
    names.answers["rebind.test"] = [ALLOWED, FORBIDDEN]
    product = await fetch(shop, await new_product(shop), server.url(host="rebind.test"))
    assert product.images[0].content_type == "image/jpeg"
    assert names.asked == ["rebind.test"]
    assert (server.connections, inner.connections) == (1, 0)
    assert f"Host: rebind.test:{server.port}" in server.requests[0]


async def test_name_is_checked_again_for_each_redirect(
    shop: CatalogApi, names: Names, server: PictureServer, inner: PictureServer
) -> None:
    """A name that leads to a forbidden address by the time of a redirect to itself is refused then."""
    names.answers["rebind.test"] = [ALLOWED, FORBIDDEN]
    server.answers["/away"] = redirect(server.url(host="rebind.test"))
    error = await refusal(fetch(shop, await new_product(shop), server.url("/away", host="rebind.test")))
    assert (error.code, error.reason) == REFUSED
    assert (server.connections, inner.connections) == (1, 0)


async def test_other_kinds_of_addresses_are_refused(shop: CatalogApi) -> None:
    """Only http and https addresses without credentials are fetched."""
    product = await new_product(shop)
    for url in (
        "file:///etc/passwd",
        "ftp://93.184.215.14/x.jpg",
        "gopher://127.0.0.1/",
        "//127.0.0.1/x",
        "picture.jpg",
        "http://",
        "http://user:secret@93.184.215.14/x.jpg",
        "http://93.184.215.14:99999/x.jpg",
        "http://93.184.215.14:0/x.jpg",
        "http://[::1/x",
        "http://\u2100.test/x",
        "http://a b.test/x",
        f"http://{'a' * 300}.test/x",
        "data:image/png;base64,AAAA",
    ):
        error = await refusal(fetch(shop, product, url))
        assert (error.code, error.reason) in {REFUSED, FAILED}, url
        if not url.endswith(".test/x"):
            assert (error.code, error.reason) == REFUSED, url


async def test_redirect_to_another_scheme_is_refused(shop: CatalogApi, server: PictureServer) -> None:
    """A redirect cannot lead to a file of this machine."""
    server.answers["/away"] = redirect("file:///etc/passwd")
    error = await refusal(fetch(shop, await new_product(shop), server.url("/away")))
    assert (error.code, error.reason) == REFUSED


async def test_endless_answer_is_cut(shop: CatalogApi, server: PictureServer, tmp_path: Path) -> None:
    """An answer of unknown length is read up to 12 MiB and no further, and nothing of it is kept."""
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(1 << 20))
            await writer.drain()
            sent += 1

    server.answers["/endless"] = endless
    error = await refusal(fetch(shop, await new_product(shop), server.url("/endless")))
    assert (error.code, error.reason) == INVALID
    assert "12 MiB" in error.message
    # What buffers hold on the way comes on top.
    assert sent < 40
    assert [path for path in (tmp_path / "images").rglob("*") if path.is_file()] == []


async def test_slow_answer_is_given_up(
    shop: CatalogApi, server: PictureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that drips is given up when its time is over, however steadily it drips."""
    monkeypatch.setattr(images, "FETCH_SECONDS", 0.5)

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    server.answers["/drip"] = drip
    error = await refusal(fetch(shop, await new_product(shop), server.url("/drip")))
    assert (error.code, error.reason) == FAILED
    assert "0.5 seconds" in error.message


async def test_answers_without_a_picture_are_refused(shop: CatalogApi, server: PictureServer) -> None:
    """Other statuses, cut and broken answers, and files that are no pictures whatever they call themselves."""
    product = await new_product(shop)
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    answers: list[tuple[bytes, object]] = [
        (response(b"", status="404 Not Found"), FAILED),
        (response(b"", status="302 Found"), FAILED),
        (response(b"", status="206 Partial Content"), FAILED),
        (redirect("http://[::1/"), REFUSED),
        (redirect("\xff\xfe"), FAILED),
        (response(b""), INVALID),
        (response(svg, "Content-Type: image/jpeg"), INVALID),
        (response(picture())[:-100], FAILED),
        (b"\xff\xd8\xff\xe0 no http", FAILED),
        (b"", FAILED),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000, FAILED),
    ]
    for answer, expected in answers:
        server.answers["/x"] = answer
        error = await refusal(fetch(shop, product, server.url("/x")))
        assert (error.code, error.reason) == expected, answer[:80]


async def test_unreachable_addresses_are_named(shop: CatalogApi, server: PictureServer) -> None:
    """A closed port and a name that does not exist are IMAGE_FETCH_FAILED."""
    product = await new_product(shop)
    for url in (f"http://{ALLOWED}:1/x.jpg", "http://no-such-name.invalid/x.jpg"):
        error = await refusal(fetch(shop, product, url))
        assert (error.code, error.reason) == FAILED


async def test_other_tenants_products_are_not_reached(shop: CatalogApi, server: PictureServer) -> None:
    """Another tenant's product is PRODUCT_NOT_FOUND, before anything is fetched."""
    product, other = await new_product(shop), await new_product(shop)
    product.tenant_id = other.tenant_id
    error = await refusal(fetch(shop, product, server.url()))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "PRODUCT_NOT_FOUND")
    assert server.connections == 0


def certificate_of(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Makes a server's context for a name, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


async def test_certificate_is_checked_against_the_name(tmp_path: Path, names: Names) -> None:
    """Over TLS the connection goes to the checked address while name and certificate stay those of the address."""
    served, trusted = certificate_of("pictures.test", tmp_path)
    names.answers |= {"pictures.test": [ALLOWED], "others.test": [ALLOWED]}
    seen: list[str | None] = []
    served.sni_callback = lambda _socket, name, _context: seen.append(name)
    source = ImageSource(AddressGuard(parse_networks(f"{ALLOWED}/32"), names.resolve), trusted)
    async with PictureServer(ALLOWED, tls=served) as server:
        server.answers["/picture.jpg"] = response(picture())
        body = b"".join([chunk async for chunk in source.read(server.url(host="pictures.test"))])
        assert body == picture()
        with pytest.raises(ImageFetchFailedError):
            _ = [chunk async for chunk in source.read(server.url(host="others.test"))]
    assert seen == ["pictures.test", "others.test"]
    assert len(server.requests) == 1
