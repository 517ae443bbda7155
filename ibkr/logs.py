"""Structured logs for every part: JSON lines on stderr, with secrets and account data taken out."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_HIDDEN = "[redacted]"
_SECRET_KEYS = re.compile(
    r"token|cookie|authorization|secret|password|session_?id|account|acct|user_?name|balance|amount|cash|netliq|body",
    re.IGNORECASE,
)
# Account ids are one to three capitals and digits (U1234567, DU1234567, DF..., F...).
_ACCOUNT = re.compile(r"\b[A-Z]{1,3}\d{5,9}\b")
_BEARER = re.compile(r"(?i)(bearer\s+|api=|XYZAB[\w.]*=|JSESSIONID=|\"session\"\s*:\s*\"?)[^\s;,\"}]+")


def redact_text(text: str) -> str:
    """``text`` without account numbers, bearer tokens and session cookies."""
    return _BEARER.sub(rf"\1{_HIDDEN}", _ACCOUNT.sub(_HIDDEN, text))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {key: _HIDDEN if _SECRET_KEYS.search(str(key)) else _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor that cleans every key and value."""
    cleaned: dict[str, Any] = _clean(dict(event))
    return cleaned


def configure(level: int = logging.INFO) -> None:
    """Send structlog and the standard library's loggers through one redacting JSON renderer on stderr."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    for name in ("httpx", "httpx2", "httpcore", "mcp", "fastmcp"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
