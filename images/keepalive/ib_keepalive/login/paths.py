"""Which paths of the gateway a browser needs to sign in: exact shapes, everything else is refused."""

from __future__ import annotations

import re

# Plain characters only: the gateway resolves dots and escapes before it matches, and forwards the raw text.
_SEGMENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._~@+,=-]+"
_SIGN_IN = re.compile(rf"/(?:sso|css[0-9]*|scripts|stylesheets?|images|fonts)(?:/{_SEGMENT})+")
_PAGES = frozenset({"/portal.proxy/v1/gstat/bulletins"})
_LONGEST = 1024

METHODS = ("GET", "HEAD", "POST")
# The query is what the gateway's own front page sends a browser to.
SIGN_IN_PAGE = "/sso/Login?forwardTo=22&RL=1&ip2loc=US"
SIGN_IN_ENDS = "/sso/Dispatcher"
TAKE_OVER = "/take-over"


def is_sign_in_path(raw_path: bytes) -> bool:
    """Whether ``raw_path``, as it came over the wire, is a sign-in page or something such a page loads."""
    try:
        path = raw_path.decode("ascii")
    except UnicodeDecodeError:
        return False
    return len(path) <= _LONGEST and (path in _PAGES or _SIGN_IN.fullmatch(path) is not None)
