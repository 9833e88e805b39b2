"""What a marketplace sandbox reads from its environment, once, at start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsError(Exception):
    """Variables that are malformed; `violations` names each with what it expects."""

    def __init__(self, violations: list[str]) -> None:
        super().__init__("\n".join(violations))
        self.violations = violations


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """HTTP_ADDRESS, READY_FILE, STATE_DIR, REQUEST_LOG_LIMIT and ALLOW_HTTP_IMAGE_URLS."""

    host: str
    port: int
    ready_file: Path | None
    state_dir: Path | None
    request_log_limit: int
    allow_http_image_urls: bool

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "SandboxSettings":
        """Raise SettingsError with every violation at once."""
        violations: list[str] = []
        host, port = _address(environment.get("HTTP_ADDRESS", "127.0.0.1:0"), violations)
        limit = environment.get("REQUEST_LOG_LIMIT", "200000")
        if not limit.isdecimal() or int(limit) < 1:
            violations.append(f"REQUEST_LOG_LIMIT: expected a number of entries above zero, got {limit!r}")
        insecure = environment.get("ALLOW_HTTP_IMAGE_URLS", "false").lower()
        if insecure not in ("true", "false"):
            violations.append(f"ALLOW_HTTP_IMAGE_URLS: expected true or false, got {insecure!r}")
        if violations:
            raise SettingsError(violations)
        ready_file, state_dir = environment.get("READY_FILE"), environment.get("STATE_DIR")
        return cls(
            host=host,
            port=port,
            ready_file=Path(ready_file) if ready_file else None,
            state_dir=Path(state_dir) if state_dir else None,
            request_log_limit=int(limit),
            allow_http_image_urls=insecure == "true",
        )


def _address(text: str, violations: list[str]) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        violations.append(f"HTTP_ADDRESS: expected host:port, where port 0 means a free one, got {text!r}")
        return "", 0
    return host.strip("[]"), int(port)
