"""`stoflow products import`, as an operator runs it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stoflow_orchestrator.clients.address_guard import AddressGuard, parse_networks
from tests.integration.orchestrator_catalog.catalog_api import CatalogApi, new_id, picture
from tests.integration.orchestrator_catalog.picture_server import PictureServer, response

HEADER = "sku,title,price,currency,stock,category,condition"
CATEGORY = "clothing/women/dresses"


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[CatalogApi]:
    guard = AddressGuard(parse_networks("127.0.0.1/32"))
    started = await CatalogApi.start(database_url, tmp_path / "images", guard)
    yield started
    await started.stop()


def row(sku: str, title: str = "Dress", price: str = "19.90", category: str = CATEGORY) -> str:
    return f"{sku},{title},{price},EUR,1,{category},good"


def write(tmp_path: Path, *rows: str) -> Path:
    file = tmp_path / "products.csv"
    file.write_text("\n".join([HEADER, *rows]))
    return file


async def run(api: CatalogApi, file: Path, *options: str, address: str = "") -> Ran:
    command = [sys.executable, "-m", "stoflow_console", "products", "import", str(file), *options]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"ORCHESTRATOR_ADDRESS": address or api.server.address},
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def skus(api: CatalogApi, tenant_id: int) -> list[str]:
    found = await api.sql(f"SELECT sku FROM user_{tenant_id}.products ORDER BY sku")
    return [sku for (sku,) in found]


async def test_right_file_is_imported(api: CatalogApi, tmp_path: Path) -> None:
    """A file without faults is imported; the last line says how many rows, and the exit code is 0."""
    tenant_id = await api.new_tenant()
    ran = await run(api, write(tmp_path, row("A"), row("B")), "--tenant", str(tenant_id))
    assert (ran.code, ran.out, ran.err) == (0, "2 rows: 2 imported, 0 wrong\n", "")
    assert await skus(api, tenant_id) == ["A", "B"]


async def test_wrong_rows_are_named_by_line(api: CatalogApi, tmp_path: Path) -> None:
    """Rows that cannot be read and rows that the service refuses are listed alike, and keep the others out."""
    tenant_id = await api.new_tenant()
    file = write(tmp_path, row("A"), row("B", price="cheap", category="moon"), row("C", title=""), "D,x")
    ran = await run(api, file, "--tenant", str(tenant_id))
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert [line.split(":")[0] for line in lines[:4]] == ["line 3 (B)", "line 3 (B)", "line 4 (C)", "line 5"]
    assert "price must be a number" in lines[0]
    assert "category unknown" in lines[1]
    assert "title" in lines[2]
    assert "2 cells" in lines[3]
    assert lines[4] == "4 rows: 0 imported, 3 wrong"
    assert await skus(api, tenant_id) == []


async def test_valid_rows_are_imported_on_request(api: CatalogApi, tmp_path: Path) -> None:
    """With --import-valid-rows the right rows are imported; --json answers in one object."""
    tenant_id = await api.new_tenant()
    file = write(tmp_path, row("A"), row("B", price="cheap"), row("C"))
    ran = await run(api, file, "--tenant", str(tenant_id), "--import-valid-rows", "--json")
    assert (ran.code, ran.err) == (1, "")
    answer = ran.answer
    assert (answer["rowCount"], answer["importedCount"], answer["badRowCount"]) == (3, 2, 1)
    assert [product["row"] for product in answer["products"]] == [2, 4]
    assert answer["badRows"][0]["row"] == 3
    assert answer["badRows"][0]["violations"][0]["field"] == "price"
    assert await skus(api, tenant_id) == ["A", "C"]


async def test_repeat_imports_nothing_twice(api: CatalogApi, tmp_path: Path) -> None:
    """The same file under the same --request-id is answered as the first time."""
    tenant_id = await api.new_tenant()
    file = write(tmp_path, row("A"))
    options = ("--tenant", str(tenant_id), "--request-id", new_id(), "--json")
    first = await run(api, file, *options)
    assert first.code == 0
    assert (await run(api, file, *options)).answer == first.answer
    assert (await run(api, file, "--tenant", str(tenant_id))).code == 1


async def test_validation_imports_nothing(api: CatalogApi, tmp_path: Path) -> None:
    """With --validate-only a right file is found right and left alone."""
    tenant_id = await api.new_tenant()
    ran = await run(api, write(tmp_path, row("A")), "--tenant", str(tenant_id), "--validate-only", "--json")
    assert (ran.code, ran.answer["importedCount"], ran.answer["badRows"]) == (0, 0, [])
    assert await skus(api, tenant_id) == []


async def test_json_lines_are_imported(api: CatalogApi, tmp_path: Path) -> None:
    """JSON lines are imported as CSV is."""
    tenant_id = await api.new_tenant()
    product = {
        "sku": "A",
        "title": "Dress",
        "price": {"currencyCode": "EUR", "amountMinor": "100"},
        "category": CATEGORY,
        "condition": "CONDITION_GOOD",
    }
    file = tmp_path / "products.jsonl"
    file.write_text(f"{json.dumps(product)}\n{json.dumps({**product, 'sku': 'B', 'size': 5})}\n")
    ran = await run(api, file, "--tenant", str(tenant_id), "--import-valid-rows")
    assert (ran.code, ran.out.splitlines()[-1]) == (1, "2 rows: 1 imported, 1 wrong")
    assert await skus(api, tenant_id) == ["A"]


async def test_pictures_are_fetched_in_order(api: CatalogApi, tmp_path: Path) -> None:
    """Pictures of imported rows come in the order of their addresses; those that fail are named, and a repeat under
    the same --request-id fetches them alone.
    """
    tenant_id = await api.new_tenant()
    file = tmp_path / "products.csv"
    async with PictureServer() as server:
        server.answers |= {
            "/1": response(picture("PNG")),
            "/2": response(picture("WEBP")),
            "/3": response(b"no"),
        }
        first, second, third = (server.url(f"/{number}") for number in (1, 2, 3))
        rows = [f"{row('A')},{second}|{third}|{first}", f"{row('B')},", f"{row('C', title='')},{first}"]
        file.write_text("\n".join([f"{HEADER},images", *rows]))
        options = ("--tenant", str(tenant_id), "--import-valid-rows", "--request-id", new_id())
        ran = await run(api, file, *options)
        assert ran.code == 1
        assert f"line 2: picture {third}: The file is not a JPEG" in ran.out
        assert "3 pictures: 2 fetched, 1 not" in ran.out
        server.answers["/3"] = response(picture("JPEG"))
        ran = await run(api, file, *options, "--json")
        assert (ran.answer["pictureCount"], ran.answer["badPictures"]) == (3, [])
        # Each picture that was there came over once.
        assert sorted(head.split(" ")[1] for head in server.requests) == ["/1", "/2", "/3", "/3"]
    found = await api.sql(
        f"SELECT content_type FROM user_{tenant_id}.product_images JOIN user_{tenant_id}.products USING (product_id)"
        " WHERE sku = 'A' ORDER BY position"
    )
    assert [kind for (kind,) in found] == ["image/webp", "image/png", "image/jpeg"]
    assert await skus(api, tenant_id) == ["A", "B"]


async def test_failures_are_plain_words(api: CatalogApi, tmp_path: Path) -> None:
    """An unknown tenant, a wrong header and a service that is away are said in words, without a traceback."""
    file = write(tmp_path, row("A"))
    ran = await run(api, file, "--tenant", "999")
    assert (ran.code, ran.out) == (1, "")
    assert "TENANT_NOT_FOUND" in ran.err
    ran = await run(api, file, "--tenant", "1", address="127.0.0.1:1")
    assert (ran.code, "--request-id" in ran.err, "127.0.0.1:1" in ran.err) == (1, True, True)
    file.write_text("sku,prize\nA,1\n")
    ran = await run(api, file, "--tenant", "1")
    assert (ran.code, "'prize'" in ran.err) == (1, True)
    ran = await run(api, tmp_path / "absent.csv", "--tenant", "1")
    assert ran.code == 2
    assert "Traceback" not in ran.err
