"""A draft of a rebuttal for the editor: a fixed template filled by data, never invented text.

Only a conclusion "contrary to the passage" that a person made, and that nobody disputes, becomes a
draft. Where the reviewer named kinds of difference, only those of the machine's marks are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

import jinja2

from dashboards import words
from kiemchung.domain import Decision, Difference
from kiemchung.store.decided import Published


@cache
def _environment() -> jinja2.Environment:
    """Plain text: nothing is escaped here, and what shows it on a page escapes all of it."""
    source = (resources.files("dashboards") / "templates" / "draft.txt").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"draft.txt": source}),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(words=words)
    environment.filters.update(day=words.day, moment=words.moment, link=words.link, line=_line)
    return environment


def told(published: Published) -> tuple[Difference, ...]:
    """Return the marked differences that the reviewer's conclusion covers."""
    first = published.first
    if not first.distortions:
        return first.differences
    return tuple(d for d in first.differences if d.kind in first.distortions)


def draft(published: Published, *, outlet_names: Mapping[str, str] | None = None) -> str | None:
    """Return the draft as plain text, None unless the claim was found contrary to a passage."""
    first = published.first
    if first.decision is not Decision.REFUTED or not first.cited:
        return None
    names = dict(outlet_names or {})
    differences = told(published)
    decided = max(p.decided_at for p in published.places).astimezone(words.VIETNAM)
    return (
        _environment()
        .get_template("draft.txt")
        .render(
            claim=first.claim,
            as_of=first.as_of,
            places=published.places,
            outlet=lambda key: names.get(key, key),
            decision=first.decision,
            decided_on=words.day(decided.date()),
            differences=differences,
            kinds=first.distortions,
            cited=first.cited,
            correction=first.correction,
            smallest=[d for d in differences if d.claim and d.evidence and d.start >= 0],
        )
    )


def _line(text: str) -> str:
    """One line: foreign text must not look like a heading of the draft."""
    return " ".join(text.split())
