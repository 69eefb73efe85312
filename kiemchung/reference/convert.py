"""Into the base: candidates from codified statutes, and one fact at a time.

A candidate is a whole article as the statute words it. It is where a person starts: the cues are
empty and ``checked`` says that nobody has read it, so `check` refuses it until a person has put
the rule into words of our own, with its bound, conditions and cues.
"""

from __future__ import annotations

import dataclasses
import json
import re
import unicodedata
from datetime import date
from pathlib import Path
from typing import Any, Final

from kiemchung.domain import Passage, PassageKind
from kiemchung.errors import BadReferenceError, RecordError
from kiemchung.reference import loader

OFFICIAL: Final = "https://phapdien.moj.gov.vn/"
"""The codified statutes; their entries have no lasting address of their own."""

UNREAD: Final = "unverified: imported from codified statutes, entry {}; read it and say so here"

_SOURCE: Final = re.compile(
    r"(?P<article>Điều \d+[a-z]?)\s+(?P<kind>Luật|Bộ luật|Nghị định|Thông tư liên tịch|Thông tư|"
    r"Nghị quyết|Quyết định|Pháp lệnh)\s+số\s+(?P<number>[\w/\-]+)"
)
_EFFECT: Final = re.compile(r"có hiệu lực thi hành kể từ ngày\s+(\d{1,2})/(\d{1,2})/(\d{4})")
_HEAD: Final = re.compile(r"\A\((?:Điều|Khoản)[^\n]*\)\s*\n")
_RELATED: Final = re.compile(r"\n\((?:Điều|Chương|Mục) này có nội dung liên quan đến[^\n]*\)?")
_LINK: Final = re.compile(r"\[([^\]\n]{1,200})\]\(https?://[^)\s]{1,500}\)")
_WANTED: Final = ("pd_id", "title", "source", "text")


def convert_file(source: Path) -> list[Passage]:
    """Return one candidate passage an article of ``source``, in the order of the file.

    ``source`` is a JSON list of objects with ``pd_id``, ``title``, ``source`` and ``text``, where
    ``source`` names article, document and first day in force, as the codified statutes print it.

    Raises:
        RecordError: not such a file; the record is named by its number, from 1.
    """
    try:
        rows = json.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}", where=str(source)) from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise RecordError(f"not JSON in UTF-8: {error}", where=str(source)) from error
    if not isinstance(rows, list):
        raise RecordError("a JSON list of articles is needed", where=str(source))
    return [_candidate(row, f"{source}: record {i}") for i, row in enumerate(rows, 1)]


def _candidate(row: object, where: str) -> Passage:
    if not isinstance(row, dict):
        raise RecordError("an object is needed", where=where)
    for name in _WANTED:
        if not isinstance(row.get(name), str):
            raise RecordError(f"{name}: text is needed", where=where)
    named = _SOURCE.search(row["source"])
    effect = _EFFECT.search(row["source"])
    if named is None or effect is None:
        raise RecordError(
            f"source {row['source'][:80]!r} names no article, document and day",
            where=where,
            remedy='it reads "Điều 1 Luật số 17/2023/QH15 …, có hiệu lực thi hành kể từ ngày …"',
        )
    day, month, year = (int(part) for part in effect.groups())
    try:
        valid_from = date(year, month, day)
    except ValueError as error:
        raise RecordError(f"{effect.group()!r}: {error}", where=where) from error
    kind, number = named["kind"], named["number"]
    return Passage(
        passage_id=_slug(row["pd_id"]),
        doc_id=_slug(f"{kind} {number}"),
        kind=PassageKind.STATUTE,
        locator=named["article"],
        text=article_text(row["text"]),
        citation=f"{named['article']} {kind} số {number}",
        valid_from=valid_from,
        valid_to=None,
        url=OFFICIAL,
        topic=_slug(f"{number} {named['article']}"),
        cues=(),
        checked=UNREAD.format(row["pd_id"]),
    )


def article_text(raw: str) -> str:
    """Return the text of an article without its source line, cross references and web links."""
    text = _LINK.sub(r"\1", _RELATED.sub("", _HEAD.sub("", raw)))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _slug(text: str) -> str:
    bare = unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
    plain = "".join(c for c in bare if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def add_fact(fact: Path, folder: Path | None = None) -> Passage:
    """Append the one passage of the JSON file ``fact`` to the base in ``folder``, if it is sound.

    The base with the fact is checked as a whole before anything is written, so that a fact which
    leaves a gap between two versions, or whose cues miss its own text, never gets in.

    Raises:
        BadReferenceError: the fact, or the base it should join, has a problem.
    """
    chosen = loader.SHIPPED if folder is None else folder
    try:
        record = fact.read_bytes()
    except OSError as error:
        raise BadReferenceError(f"cannot be read: {error.strerror}", where=str(fact)) from error
    try:
        passage = loader.parse_record(record, Passage)
    except ValueError as error:
        raise BadReferenceError(str(error), where=str(fact)) from error
    base = loader.load(chosen)
    known = {p.passage_id for p in base.passages}
    if passage.passage_id in known:
        raise BadReferenceError(f"passage_id {passage.passage_id!r} is taken", where=str(fact))
    before = {(p.where, p.message) for p in loader.check(chosen)}
    path = chosen / loader.PASSAGES
    kept = path.read_bytes()
    grown = kept + (b"" if kept.endswith(b"\n") else b"\n") + to_line(passage)
    for problem in loader.check_texts((chosen / loader.DOCUMENTS).read_bytes(), grown, chosen):
        if (problem.where, problem.message) not in before:
            raise BadReferenceError(problem.message, where=f"{fact} ({problem.where})")
    from kiemchung.shards import write_bytes_atomically  # pyarrow is only needed here

    sealed = (chosen / loader.SUMS).exists()
    write_bytes_atomically(path, grown)
    if sealed:  # a kill in between leaves a base that says it was changed, and how to go on
        loader.seal(chosen)
    return passage


def to_line(passage: Passage) -> bytes:
    """Return a passage as its line of the base."""
    row = {f.name: _plain(getattr(passage, f.name)) for f in dataclasses.fields(passage)}
    return (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8")


def _plain(value: Any) -> Any:  # noqa: ANN401  JSON has no narrower type
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value
