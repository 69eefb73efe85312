"""Every statute fact held against the codified text of its article, where that text is present."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kiemchung import reference
from kiemchung.domain import Passage, PassageKind
from nlp.quantities import Quantity, extract
from nlp.text import fold

ARTICLE = re.compile(r"Điều (\d+)")
NUMBER = re.compile(r"số (\d+/\d{4}/[\w-]+)")


@pytest.fixture(scope="module")
def codified(shared: Path) -> dict[tuple[str, str], str]:
    """Return the codified text by (document number, article)."""
    rows = json.loads((shared / "reference/cooperative_law_codified.json").read_text("utf-8"))
    found: dict[tuple[str, str], str] = {}
    for row in rows:
        article, number = ARTICLE.match(row["source"]), NUMBER.search(row["source"])
        if article and number:
            key = number[1].upper(), article[1]
            found[key] = f"{found.get(key, '')}\n{row['title']}\n{row['text']}"
    return found


def measures(text: str) -> list[Quantity]:
    """Return the quantities of a rule; counts of documents and bare numbers tell nothing."""
    return [q for q in extract(text).quantities if q.unit]


def checked(codified: dict[tuple[str, str], str]) -> list[tuple[Passage, str]]:
    """Return each statute passage whose articles are all here, with their text."""
    base = reference.load()
    numbers = {d.doc_id: d.number.upper() for d in base.documents}
    out = []
    for passage in base.passages:
        articles = ARTICLE.findall(passage.locator)
        keys = [(numbers.get(passage.doc_id, ""), a) for a in articles]
        if passage.kind is PassageKind.STATUTE and keys and all(k in codified for k in keys):
            out.append((passage, "\n".join(codified[k] for k in keys)))
    return out


def test_most_of_the_base_can_be_held_against_the_law(
    codified: dict[tuple[str, str], str],
) -> None:
    assert len(checked(codified)) >= 200


def test_every_figure_of_a_fact_stands_in_its_article(
    codified: dict[tuple[str, str], str],
) -> None:
    wrong = []
    for passage, law in checked(codified):
        known = {(q.value, q.upper) for q in measures(law)} | {
            (q.upper, None) for q in measures(law)
        }
        known |= {(q.value, None) for q in measures(law)}
        digits = set(re.findall(r"\d+", law))
        for q in measures(passage.text):
            plain = {str(int(v)) for v in (q.value, q.upper) if v is not None and v == int(v)}
            in_digits = all(d in digits or d.zfill(2) in digits for d in plain)
            if (q.value, q.upper) not in known and not in_digits:
                wrong.append(f"{passage.passage_id}: {q.text}")
    assert wrong == []


def test_the_words_of_a_fact_stand_in_its_article(
    codified: dict[tuple[str, str], str],
) -> None:
    far = []
    for passage, law in checked(codified):
        words = set(re.findall(r"[a-z]+", fold(passage.text)))
        theirs = set(re.findall(r"[a-z]+", fold(law)))
        if len(words & theirs) < 0.75 * len(words):
            far.append((passage.passage_id, sorted(words - theirs)[:8]))
    assert far == []
