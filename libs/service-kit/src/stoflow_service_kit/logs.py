"""Structured logs: structlog and the standard library's loggers end in one stream, with secrets removed."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"

_SECRET_KEY = re.compile(
    r"(^|_)(authorization|password|passwd|pwd|secret|token|api_key|apikey|private_key|cookie|credentials?|seed)s?$",
    re.IGNORECASE,
)
# Opaque positions in a list, not secrets, and needed to follow a client's paging.
_PUBLIC_KEYS = frozenset({"page_token", "next_page_token"})
_URL_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]{0,20}://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE)
_BEARER = re.compile(r"\b(?P<scheme>bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_ASSIGNMENT = re.compile(
    r"(?P<key>\b(?:access_token|refresh_token|client_secret|password|authorization)\b[\"']?\s*[=:]\s*[\"']?)"
    r"[^\s\"'&,;}]+",
    re.IGNORECASE,
)


def redact_text(text: str) -> str:
    """Removes passwords in URLs, bearer tokens and `password=…` assignments from a text."""
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\g<head>{REDACTED}", text)
    text = _BEARER.sub(rf"\g<scheme> {REDACTED}", text)
    return _ASSIGNMENT.sub(rf"\g<key>{REDACTED}", text)


def redact(value: Any, depth: int = 6) -> Any:
    """Returns a copy of a value with secrets removed, by key and by shape."""
    if isinstance(value, str):
        return redact_text(value)
    if depth == 0:
        return value
    if isinstance(value, Mapping):
        return {key: _redact_entry(key, entry, depth) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(entry, depth - 1) for entry in value]
    if isinstance(value, BaseException):
        return redact_text(repr(value))
    return value


def _redact_entry(key: Any, value: Any, depth: int) -> Any:
    if isinstance(key, str) and _is_secret_key(key) and value is not None:
        return REDACTED
    return redact(value, depth - 1)


def _is_secret_key(key: str) -> bool:
    name = key.replace("-", "_").lower()
    return name not in _PUBLIC_KEYS and _SECRET_KEY.search(name) is not None


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> MutableMapping[str, Any]:
    """A structlog processor; it must run after exceptions were turned into text."""
    return {key: _redact_entry(key, value, 6) for key, value in event.items()}


def configure_logs(
    level: str = "info",
    log_format: Literal["json", "console"] = "json",
    *,
    service: str = "",
    stream: TextIO | None = None,
) -> None:
    """Routes all logs of the process to one stream (stdout unless told otherwise).

    Keys bound with `structlog.contextvars.bind_contextvars` (tenant_id, job_id, task_id, attempt, request_id)
    are on every line logged in that context, by structlog or by the standard library.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _add_service(service),
    ]
    renderer: Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer(default=str)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=False)
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Text, not structured frames: those would carry local variables, so secrets.
                structlog.processors.format_exc_info,
                redact_event,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for chatty in ("httpx", "httpcore", "uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "grpc"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _add_service(service: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if service:
            event.setdefault("service", service)
        return event

    return add


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Returns a logger; it may be made before `configure_logs` runs."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
