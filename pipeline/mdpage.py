"""The few signs of Markdown that our own pages use, as one page of HTML without scripts.

Headings, tables, numbered items with notes below them, paragraphs, `code`. Made for pages that this
program wrote (`pipeline.comparing`): text of articles stands in them with its signs taken apart, so
whatever looks like markup here is our own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Final

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}table{border-collapse:collapse;margin:1rem 0}"
    "th,td{border:1px solid #767676;padding:.25rem .6rem;text-align:right}"
    "th:first-child,td:first-child{text-align:left}th{background:#eee}li{margin:.6rem 0}"
    "ul{color:#444}@media print{body{margin:0;max-width:none}}"
)
_CODE: Final = re.compile(r"(?<!\\)`([^`]*)`")
_ESCAPED: Final = re.compile(r"\\([\\`*_{}\[\]()#+!|~>-])")
_HEADING: Final = re.compile(r"(#{1,3}) (.*)")
_ITEM: Final = re.compile(r"\d+\. (.*)")
_NOTE: Final = re.compile(r" {3}- (.*)")
_BAR: Final = re.compile(r"(?<!\\)\|")


def _inline(text: str) -> str:
    shown = text.replace("<", "&lt;").replace(">", "&gt;")
    return _ESCAPED.sub(r"\1", _CODE.sub(r"<code>\1</code>", shown))


def _cells(line: str, tag: str) -> str:
    inside = [part.strip() for part in _BAR.split(line)[1:-1]]
    return "<tr>" + "".join(f"<{tag}>{_inline(c)}</{tag}>" for c in inside) + "</tr>"


def _table(lines: Sequence[str]) -> str:
    head, _, *rows = lines  # the second line says that the first is the head
    body = "".join(_cells(row, "td") for row in rows)
    return f"<table><thead>{_cells(head, 'th')}</thead><tbody>{body}</tbody></table>"


def _items(lines: Sequence[str]) -> str:
    items: list[tuple[str, list[str]]] = []
    for line in lines:
        if item := _ITEM.fullmatch(line):
            items.append((item[1], []))
        elif note := _NOTE.fullmatch(line):
            items[-1][1].append(note[1])
    return (
        "<ol>"
        + "".join(
            f"<li>{_inline(text)}<ul>{''.join(f'<li>{_inline(n)}</li>' for n in notes)}</ul></li>"
            for text, notes in items
        )
        + "</ol>"
    )


def _block(lines: Sequence[str]) -> str:
    if lines[0].startswith("|"):
        return _table(lines)
    if heading := _HEADING.fullmatch(lines[0]):
        level = len(heading[1])
        rest = _block(lines[1:]) if lines[1:] else ""
        return f"<h{level}>{_inline(heading[2])}</h{level}>{rest}"
    if _ITEM.fullmatch(lines[0]):
        return _items(lines)
    return "".join(f"<p>{_inline(line)}</p>" for line in lines)


def as_html(lines: Sequence[str], *, title: str) -> str:
    """Return a page of Markdown, line by line, as a whole HTML page."""
    blocks = [list(part) for filled, part in groupby(lines, key=bool) if filled]
    body = "\n".join(_block(block) for block in blocks)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_inline(title)}</title><style>{_STYLE}</style></head><body>\n{body}\n"
        "</body></html>\n"
    )
