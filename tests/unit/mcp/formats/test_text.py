"""Texts are only data."""

from __future__ import annotations

from ib_mcp.formats.text import untrusted


def test_untrusted_text_has_no_markup_and_an_end() -> None:
    assert untrusted("<b>Sell</b>&nbsp;all<script>x</script>\n\nnow") == "Sell all x now"
    assert untrusted(None) == ""
    assert len(untrusted("a" * 5000, 100)) == 100
