"""What can be wrong with a document as a whole."""

from __future__ import annotations

from ibkr.errors import InvalidRequest, UpstreamUnreachable


class DocumentUnreadable(InvalidRequest):
    """No OpenAPI document, or one beyond the limits of this version."""

    action = "Give the path or URL of an OpenAPI document as JSON or YAML."


class DocumentUnreachable(UpstreamUnreachable):
    """The address of a document does not answer in time."""

    action = "Try again, or download the document and give its path."
