"""`python -m benchmarks.catalog_import`: how long an import of 10,000 products with a hundredth of wrong rows takes.

What is measured is what an operator waits for: `stoflow products import` from its start to its end, on a CSV,
against an orchestrator in a process of its own and a durable PostgreSQL. It fails when a wrong row is not named with
its reason, when a right one is missing, or when it takes more than ten seconds.
"""

from __future__ import annotations

import base64
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import psycopg
from stoflow.tenants.v1 import tenant_service_pb2, tenant_service_pb2_grpc

from benchmarks.machine import describe_machine
from benchmarks.servers import Servers
from stoflow_sandbox.processes import Supervisor

FILE = Path("benchmarks/results/catalog_import.json")
ROWS = 10_000
WRONG_EACH = 100
RUNS = 3
MAX_SECONDS = 10.0
_DESCRIPTION = "Worn twice, washed once, kept without smoke or pets. " * 8
# A column, a wrong value, and the field that must be named for it: some cannot be read, some the service refuses.
_FAULTS = (
    ("price", "cheap", "price"),
    ("title", "", "title"),
    ("category", "clothing/moon", "category"),
    ("stock", "-1", "stock_quantity"),
    ("currency", "XYZ", "price.currency_code"),
    ("condition", "so-so", "condition"),
    ("made", "soon", "made"),
    ("size", "9" * 101, "size"),
    ("sku", "SKU0", "sku"),
    ("weight_grams", "1.5", "weight_grams"),
)


def main() -> None:
    """Measures, prints and writes the figures."""
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as name, Servers(Path(name) / "servers") as servers:
        file = Path(name) / "products.csv"
        faults = write_file(file)
        size_mib = round(file.stat().st_size / 2**20, 1)
        url = servers.postgres.create_database("catalog_import")
        with Supervisor(Path(name) / "services") as supervisor:
            address = _start(supervisor, url, servers, Path(name) / "images")
            seconds = [_measure(address, url, file, faults) for _ in range(RUNS)]
    median = statistics.median(seconds)
    figures = {
        "rows": ROWS,
        "wrong_rows": len(faults),
        "file_mib": size_mib,
        "seconds": [round(one, 2) for one in seconds],
        "seconds_median": round(median, 2),
    }
    FILE.write_text(json.dumps({"machine": machine, **figures}, indent=2) + "\n")
    print(f"{ROWS} rows, {len(faults)} of them wrong: {median:.2f} s (median of {RUNS}), {FILE}")
    if max(seconds) > MAX_SECONDS:
        raise SystemExit(f"more than {MAX_SECONDS:g} s")


def write_file(file: Path) -> dict[int, str]:
    """Writes the CSV; returns the field that must be named for each wrong line."""
    faults: dict[int, str] = {}
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(next(_rows())))
        writer.writeheader()
        for number, row in enumerate(_rows()):
            if number % WRONG_EACH == WRONG_EACH - 1:
                column, value, field = _FAULTS[number // WRONG_EACH % len(_FAULTS)]
                row[column] = value
                # The header is the first line.
                faults[number + 2] = field
            writer.writerow(row)
    return faults


def _rows() -> Iterator[dict[str, str]]:
    for number in range(ROWS):
        yield {
            "sku": f"SKU{number}",
            "title": f"Linen dress number {number}",
            "description": _DESCRIPTION,
            "price": f"{number % 200 + 1}.90",
            "currency": "EUR",
            "stock": "1",
            "brand": f"Brand {number % 50}",
            "category": "clothing/women/dresses",
            "condition": "very good",
            "colors": "blue|white",
            "size": "M",
            "materials": "linen",
            "gender": "women",
            "weight_grams": "400",
            "length_mm": "300",
            "width_mm": "200",
            "height_mm": "50",
            "who_made": "someone else",
            "made": "1990-1999",
            "attribute:Style": "Boho",
            "measurement:chest": "480",
            "ebay:title": f"Dress {number}",
            "ebay:price": "25",
            "ebay:currency": "EUR",
        }


def _start(supervisor: Supervisor, database_url: str, servers: Servers, images: Path) -> str:
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "NATS_URL": servers.nats.url,
        "IMAGE_STORE_PATH": str(images),
        "IMAGE_URL_KEY": base64.b64encode(b"i" * 32).decode(),
        "CREDENTIALS_KEYS": "bench:" + base64.b64encode(b"c" * 32).decode(),
    }
    process = supervisor.start("orchestrator", [sys.executable, "-m", "stoflow_orchestrator"], environment)
    return str(process.wait_ready()["grpc_address"])


def _measure(address: str, database_url: str, file: Path, faults: dict[int, str]) -> float:
    """Imports the file for a new tenant; returns the seconds that the command took."""
    tenant_id = _new_tenant(address)
    command = [
        sys.executable,
        "-m",
        "stoflow_console",
        "products",
        "import",
        str(file),
        "--import-valid-rows",
    ]
    begun = time.perf_counter()
    ran = subprocess.run(
        [*command, "--json", "--tenant", str(tenant_id), "--orchestrator", address],
        capture_output=True,
        check=False,
        text=True,
    )
    seconds = time.perf_counter() - begun
    if not ran.stdout:
        raise SystemExit(f"the import failed: {ran.stderr}")
    _check(json.loads(ran.stdout), faults)
    with psycopg.connect(database_url) as connection:
        row = connection.execute(f"SELECT count(*) FROM user_{tenant_id}.products").fetchone()
    if row != (ROWS - len(faults),):
        raise SystemExit(f"{row} products are stored, not {ROWS - len(faults)}")
    return seconds


def _new_tenant(address: str) -> int:
    request = tenant_service_pb2.CreateTenantRequest(request_id=str(uuid.uuid4()), display_name="Shop")
    with grpc.insecure_channel(address) as channel:
        return tenant_service_pb2_grpc.TenantServiceStub(channel).CreateTenant(request).tenant.tenant_id


def _check(answer: dict[str, Any], faults: dict[int, str]) -> None:
    named = {
        row["row"]: {violation["field"] for violation in row["violations"] if violation["description"]}
        for row in answer["badRows"]
    }
    if named != {line: {field} for line, field in faults.items()}:
        raise SystemExit(f"the wrong rows are not those that are wrong: {named}")


if __name__ == "__main__":
    main()
