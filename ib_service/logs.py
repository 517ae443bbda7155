"""Structured logs for every part: JSON lines on stderr, with secrets and account data taken out."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

import structlog

_HIDDEN = "[redacted]"
_SECRET_KEYS = re.compile(
    r"token|cookie|authorization|secret|password|api_?key|webhook|^session$|session_?id|account|acct|user_?(name|id)"
    r"|balance|amount|cash|net_?liq|equity|margin|funds|pnl|^(dpl|upl|uel|nl|el|mv)$|body",
    re.IGNORECASE,
)
# Each after what is in all that it finds: few texts have that, and looking for it takes far less time.
_ADDRESS = re.compile("://")
_VALUE = re.compile("[:=]")
_PATTERNS = (
    # Addresses that are secrets themselves: of chat services and their kind, and those of the library Apprise, which
    # have a scheme of their own. Then name and password in front of a host.
    (
        _ADDRESS,
        re.compile(
            r"(?i)(\bhttps?://(?:[^\s/?#@\"'<>]*@)?)"
            r"[^\s\"'<>]*?(?:hook|/bot[0-9]|/services/|ntfy|gotify|pushover|maker\.ifttt)[^\s\"'<>]*"
        ),
    ),
    (
        _ADDRESS,
        re.compile(r"(?i)(\b(?!https?:|wss?:|ibkr:|file:|tcp:|unix:)[a-z][a-z0-9+.-]{1,20}://)[^\s\"'<>]+"),
    ),
    (_ADDRESS, re.compile(r"""(://)[^\s/?#@"'<>]*(?=@)""")),
    # Headers whose whole value is secret, whatever it holds.
    (_VALUE, re.compile(r"""(?i)(\b(?:(?:set-)?cookie|(?:proxy-)?authorization)["']?\s*[:=]\s*)[^\r\n]+""")),
    (re.compile("(?i)bearer|basic"), re.compile(r"(?i)(\b(?:bearer|basic)\s+)[^\s,;\"']+")),
    # name=value and "name": "value" of tokens and of IBKR's session cookies.
    (
        _VALUE,
        re.compile(
            r"""(?i)((?:token|secret|passw(?:or)?d|(?:x[-_])?(?:api|access)[-_]?key|session_?id|sess-uuid|(?:jsession|user)id|user_?name|xyzab[\w.]*)["']?\s*[:=]\s*"""
            r"""|["']session["']\s*:\s*|\b(?:session|api|cp|portal|web)(?:\.\w+)?=)(?:"[^"]*"|'[^']*'|[^\s;,&"'}]+)"""
        ),
    ),
    # Account ids are one to three capitals and digits (U1234567, DU1234567, DF..., F...), in a path perhaps lower case.
    (re.compile("[0-9]{5}"), re.compile(r"()(?:[A-Z]{1,3}|(?<![A-Za-z0-9])d?[ufi])[0-9]{5,}")),
)


def redact_text(text: str) -> str:
    """``text`` without account numbers, tokens and session cookies."""
    for part, pattern in _PATTERNS:
        if part.search(text):
            text = pattern.sub(rf"\1{_HIDDEN}", text)
    return text


@lru_cache(1024)
def _is_secret(key: str) -> bool:
    return _SECRET_KEYS.search(key) is not None


def _clean(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            redact_text(name): _HIDDEN if _is_secret(name) else _clean(item)
            for name, item in ((str(key), item) for key, item in value.items())
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(item) for item in value]
    return redact_text(repr(value))


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
        cache_logger_on_first_use=False,  # a cached logger would outlive a later configuration
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
