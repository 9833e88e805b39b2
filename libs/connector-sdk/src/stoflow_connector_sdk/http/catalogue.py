"""The catalogue's pictures, read from the signed addresses that a task carries."""

import hashlib

from stoflow_connector_sdk.errors import EffectOutcome, RetryableError
from stoflow_connector_sdk.http.client import MarketplaceHttpClient


class CatalogueImages:
    """Reads the bytes of a product's pictures."""

    def __init__(self, http: MarketplaceHttpClient) -> None:
        self._http = http

    async def get_bytes(self, url: str, content_sha256: str) -> bytes:
        """Returns a picture.

        Args:
            url: A signed address; it is valid for a limited time, and the next attempt gets a new one.
            content_sha256: What the bytes must hash to, in lower-case hexadecimal.

        Raises:
            RetryableError: The address did not answer with these bytes.
        """
        response = await self._http.request("GET", url, headers={"accept": "image/*"})
        if response.status_code != 200:
            raise RetryableError(
                f"The catalogue answered HTTP {response.status_code} for an image of the product.",
                effect=EffectOutcome.NOT_SENT,
                code="IMAGE_NOT_READABLE",
                http_status=response.status_code,
                raw_body=response.content,
            )
        found = hashlib.sha256(response.content).hexdigest()
        if found != content_sha256:
            raise RetryableError(
                f"The catalogue gave an image with SHA-256 {found} in place of {content_sha256}.",
                effect=EffectOutcome.NOT_SENT,
                code="IMAGE_CHANGED",
            )
        return response.content
