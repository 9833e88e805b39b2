"""Images in a bucket of an S3-compatible store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import botocore.config
import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from stoflow_orchestrator.clients.image_folder import open_incoming
from stoflow_orchestrator.clients.image_store import StoredImage, image_key
from stoflow_service_kit.errors import UnavailableError
from stoflow_service_kit.logs import get_logger
from stoflow_service_kit.startup import StartError

log = get_logger(__name__)

T = TypeVar("T")

# botocore blocks, and its threads must not be those that everything else waits for.
THREADS = 8
CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 5
READ_SECONDS = 20
RETRY_AFTER_SECONDS = 1.0
_ABSENT = {"NoSuchKey", "404"}
_FIRST_SERVER_ERROR = 500
_CONFIG: dict[str, Any] = {
    # Many stores know no host names of buckets, and none of the newer checksums that AWS sends by default.
    "s3": {"addressing_style": "path"},
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
    "retries": {"total_max_attempts": 3, "mode": "standard"},
    "connect_timeout": CONNECT_SECONDS,
    "read_timeout": READ_SECONDS,
    "max_pool_connections": THREADS,
}


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """Where a bucket is, and who asks.

    Attributes:
        bucket: Its name.
        prefix: Put before each key; may be empty.
        endpoint: `http://host:port` or `https://host`; None for AWS.
        region: As the store names it.
        access_key: None lets botocore look for credentials where it always does.
        secret_key: Belongs to it.
    """

    bucket: str
    prefix: str
    endpoint: str | None
    region: str
    access_key: str | None
    secret_key: str | None


class ImageBucket:
    """A bucket that all orchestrators share; files on their way in lie in a local folder."""

    def __init__(self, place: BucketPlace, local: Path) -> None:
        """Connects to nothing yet.

        Args:
            place: The bucket.
            local: Holds files on their way in.
        """
        self._place = place
        self._incoming = open_incoming(local)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="image-bucket")
        self._client: Any = botocore.session.Session().create_client(
            "s3",
            region_name=place.region,
            endpoint_url=place.endpoint,
            aws_access_key_id=place.access_key,
            aws_secret_access_key=place.secret_key,
            config=botocore.config.Config(**_CONFIG),
        )

    @property
    def incoming(self) -> Path:
        """A local folder."""
        return self._incoming

    async def check(self) -> None:
        """Makes sure that the bucket is there.

        Raises:
            UnavailableError: The store does not answer.
            StartError: It does not give this bucket to us.
        """
        try:
            await self._call(partial(self._client.head_bucket, Bucket=self._place.bucket))
        except ClientError as error:
            raise StartError(
                f"The bucket {self._place.bucket!r} of IMAGE_STORE_BUCKET cannot be used: {error}"
            ) from error

    async def keep(self, tenant_id: int, sha256: str, file: Path) -> None:
        """Copies a file into the bucket."""
        key = self._key(tenant_id, sha256)
        try:
            await self._call(partial(self._put, key, file))
        except ClientError as error:
            raise _unavailable(error) from error

    def _put(self, key: str, file: Path) -> None:
        with file.open("rb") as body:
            self._client.put_object(Bucket=self._place.bucket, Key=key, Body=body)

    async def find(self, tenant_id: int, sha256: str) -> StoredImage | None:
        """Returns an image of a tenant."""
        key = self._key(tenant_id, sha256)
        try:
            found = await self._call(partial(self._client.get_object, Bucket=self._place.bucket, Key=key))
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return None
            raise _unavailable(error) from error
        return StoredImage(found["ContentLength"], self._read(found["Body"]))

    async def _read(self, body: Any) -> AsyncGenerator[bytes]:
        try:
            while chunk := await self._call(partial(body.read, CHUNK_BYTES)):
                yield chunk
        finally:
            body.close()

    def close(self) -> None:
        """Ends the threads once what they do is done."""
        self._threads.shutdown()
        self._client.close()

    def _key(self, tenant_id: int, sha256: str) -> str:
        return "/".join(filter(None, (self._place.prefix.strip("/"), image_key(tenant_id, sha256))))

    async def _call(self, function: Callable[[], T]) -> T:
        """Calls the store in a thread.

        Raises:
            UnavailableError: The store does not answer, or not well.
            ClientError: It refuses.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= _FIRST_SERVER_ERROR:
                raise _unavailable(error) from error
            raise
        except BotoCoreError as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> UnavailableError:
    log.warning("image_store_unavailable", error=f"{type(error).__name__}: {error}")
    return UnavailableError(
        "The image store cannot be used just now; repeat the call.", retry_after_seconds=RETRY_AFTER_SECONDS
    )
