"""Images in a bucket of a real S3-compatible store."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from stoflow.catalog.v1.product_service_pb2 import FetchProductImageRequest

from stoflow_orchestrator.clients.image_bucket import BucketPlace, ImageBucket
from stoflow_orchestrator.clients.image_store import ImageStore
from stoflow_orchestrator.http.images import image_route
from stoflow_orchestrator.services.image_addresses import ImageAddresses, ImageSignatures
from stoflow_sandbox.processes import Supervisor
from stoflow_service_kit.clock import SystemClock
from stoflow_service_kit.errors import UnavailableError
from stoflow_service_kit.http_server import HttpServer, create_app
from stoflow_service_kit.startup import StartError
from tests.integration.orchestrator_catalog.catalog_api import picture
from tests.integration.orchestrator_catalog.picture_server import PictureServer, response
from tests.support.object_store import ACCESS_KEY, SECRET_KEY, ObjectStore
from tests.support.orchestrator import Stubs, start_orchestrator


@pytest.fixture(scope="module")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with ObjectStore(tmp_path_factory.mktemp("objects")) as started:
        yield started


@pytest.fixture
def place(object_store: ObjectStore) -> BucketPlace:
    """A bucket of a test's own."""
    bucket = f"images-{uuid.uuid4().hex}"
    object_store.client().create_bucket(Bucket=bucket)
    return BucketPlace(bucket, "shop", object_store.endpoint, "us-east-1", ACCESS_KEY, SECRET_KEY)


@pytest.fixture
def bucket(place: BucketPlace, tmp_path: Path) -> Iterator[ImageBucket]:
    opened = ImageBucket(place, tmp_path)
    yield opened
    opened.close()


async def keep(store: ImageStore, tenant_id: int, data: bytes) -> str:
    file = store.incoming / "file"
    file.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    await store.keep(tenant_id, sha256, file)
    return sha256


async def read(store: ImageStore, tenant_id: int, sha256: str) -> bytes | None:
    found = await store.find(tenant_id, sha256)
    if found is None:
        return None
    body = b"".join([chunk async for chunk in found.chunks])
    assert len(body) == found.size_bytes
    return body


async def test_images_are_kept_once_for_each_tenant(
    bucket: ImageBucket, place: BucketPlace, object_store: ObjectStore
) -> None:
    """The bytes come back for their tenant alone; keeping them twice leaves one object below the prefix."""
    await bucket.check()
    data = os.urandom(1_000_001)
    sha256 = await keep(bucket, 1, data)
    await keep(bucket, 1, data)
    assert await read(bucket, 1, sha256) == data
    assert await read(bucket, 2, sha256) is None
    listed = object_store.client().list_objects_v2(Bucket=place.bucket)["Contents"]
    assert [one["Key"] for one in listed] == [f"shop/user_1/{sha256[:2]}/{sha256}"]


async def test_many_images_at_once(bucket: ImageBucket) -> None:
    """More images than there are threads are kept and read together."""
    bodies = [os.urandom(50_000) for _ in range(24)]

    async def round_trip(number: int, data: bytes) -> bool:
        file = bucket.incoming / str(number)
        file.write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        await bucket.keep(7, sha256, file)
        return await read(bucket, 7, sha256) == data

    assert all(await asyncio.gather(*(round_trip(*one) for one in enumerate(bodies))))


async def test_reader_may_leave_early(bucket: ImageBucket) -> None:
    """A reader that goes away after the first bytes leaves the store usable, however often."""
    sha256 = await keep(bucket, 1, bytes(2_000_000))
    for _ in range(20):
        found = await bucket.find(1, sha256)
        assert found is not None
        assert await anext(found.chunks)
        await found.chunks.aclose()
    assert await read(bucket, 1, sha256) == bytes(2_000_000)


async def test_only_digests_name_objects(bucket: ImageBucket) -> None:
    """No other text is turned into a key."""
    for name in ("../x", "a" * 63, "A" * 64):
        with pytest.raises(ValueError, match="SHA-256"):
            await bucket.find(1, name)


async def test_wrong_settings_are_named_at_the_start(place: BucketPlace, tmp_path: Path) -> None:
    """A bucket that is not there and a wrong secret end the start; they are not waited for."""
    for wrong in (
        dataclasses.replace(place, bucket="no-such-bucket"),
        dataclasses.replace(place, secret_key="wrong"),
    ):
        store = ImageBucket(wrong, tmp_path)
        with pytest.raises(StartError, match="IMAGE_STORE_BUCKET"):
            await store.check()
        store.close()


async def test_refused_writes_and_reads_are_no_answers(place: BucketPlace, tmp_path: Path) -> None:
    """What the store refuses is neither kept nor absent: the call is worth repeating once the settings are right."""
    store = ImageBucket(dataclasses.replace(place, secret_key="wrong"), tmp_path)
    for call in (keep(store, 1, b"x"), store.find(1, "0" * 64)):
        with pytest.raises(UnavailableError):
            await call
    store.close()


async def test_store_that_is_away_is_unavailable(place: BucketPlace, tmp_path: Path) -> None:
    """A store that cannot be reached makes calls worth repeating, and the start wait."""
    store = ImageBucket(dataclasses.replace(place, endpoint="http://127.0.0.1:1"), tmp_path)
    for call in (store.check(), keep(store, 1, b"x"), store.find(1, "0" * 64)):
        with pytest.raises(UnavailableError):
            await call
    store.close()


async def test_images_are_served_from_the_bucket(bucket: ImageBucket) -> None:
    """A signed address gives an image's bytes, whatever store they lie in; without an image it is 404."""
    data = picture("PNG")
    sha256 = await keep(bucket, 42, data)
    signatures = ImageSignatures(bytes(range(32)), SystemClock())
    server = HttpServer(
        "127.0.0.1:0", create_app(CollectorRegistry(), lambda: True, [image_route(bucket, signatures)])
    )
    addresses = ImageAddresses(signatures, f"http://{await server.start()}")
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(addresses.sign(42, sha256))
        assert (answer.status_code, answer.content) == (200, data)
        assert answer.headers["content-type"] == "image/png"
        assert (await client.get(addresses.sign(43, sha256))).status_code == 404
    await server.stop()


async def test_service_keeps_images_in_the_bucket_that_its_settings_name(
    place: BucketPlace, object_store: ObjectStore, database_url: str, nats_url: str, tmp_path: Path
) -> None:
    """A started orchestrator fetches from the networks that it is allowed, and keeps what it cleaned in the bucket."""
    settings = {
        "IMAGE_STORE_BUCKET": place.bucket,
        "IMAGE_STORE_PREFIX": place.prefix,
        "IMAGE_STORE_ENDPOINT": str(place.endpoint),
        "IMAGE_STORE_ACCESS_KEY": ACCESS_KEY,
        "IMAGE_STORE_SECRET_KEY": SECRET_KEY,
        "IMAGE_ALLOWED_NETWORKS": "127.0.0.1/32",
    }
    with Supervisor(tmp_path / "processes") as supervisor:
        orchestrator = start_orchestrator(supervisor, database_url, nats_url, tmp_path, **settings)
        stubs = Stubs(orchestrator.grpc_address)
        tenant_id = await stubs.create_tenant()
        product_id = await stubs.create_product(tenant_id)
        async with PictureServer() as pictures:
            pictures.answers["/picture.jpg"] = response(picture())
            request = FetchProductImageRequest(
                request_id=str(uuid.uuid4()), tenant_id=tenant_id, product_id=product_id, url=pictures.url()
            )
            (image,) = (await stubs.products.FetchProductImage(request)).product.images
        await stubs.close()
    key = f"{place.prefix}/user_{tenant_id}/{image.content_sha256[:2]}/{image.content_sha256}"
    found = object_store.client().get_object(Bucket=place.bucket, Key=key)["Body"].read()
    assert hashlib.sha256(found).hexdigest() == image.content_sha256
