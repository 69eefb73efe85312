"""A page of our own in Markdown as one page of HTML without scripts.

markdown-it-py reads it, with the few signs that our pages use and no others: headings, tables,
lists, paragraphs, `code`, what is escaped. Raw HTML, links, pictures and emphasis stay off, so that
whatever text of an article stands in a page (`pipeline.comparing` takes its signs apart as well) it
becomes no markup, and an address stays a text to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from markdown_it import MarkdownIt

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}table{border-collapse:collapse;margin:1rem 0}"
    "th,td{border:1px solid #767676;padding:.25rem .6rem;text-align:right}"
    "th:first-child,td:first-child{text-align:left}th{background:#eee}li{margin:.6rem 0}"
    "ul{color:#444}@media print{body{margin:0;max-width:none}}"
)
_SIGNS: Final = ("heading", "table", "list", "backticks", "escape", "entity")


def as_html(lines: Sequence[str], *, title: str) -> str:
    """Return a page of Markdown, line by line, as a whole HTML page."""
    body = MarkdownIt("zero").enable(_SIGNS).render("\n".join(lines))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n{body}"
        "</body></html>\n"
    )
