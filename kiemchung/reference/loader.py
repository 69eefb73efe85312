"""The reference base: what a claim may be set beside, and from when to when it held.

One JSON object a line, so that a correction shows as one line in a diff, and every problem has a
line to point to. ``documents.jsonl`` holds `Document`, ``passages.jsonl`` holds `Passage`, with
exactly their fields. The base is read whole or not at all: with half a base a run would say
"not enough" where it should not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from kiemchung.domain import Document, Passage, PassageKind, sha256_hex
from kiemchung.errors import BadReferenceError
from kiemchung.reference.cues import CueIndex, plain_view, tokens

DOCUMENTS: Final = "documents.jsonl"
PASSAGES: Final = "passages.jsonl"
SUMS: Final = "SHA256SUMS"
SHIPPED: Final = Path(__file__).parent / "data"
MAX_BYTES: Final = 64_000_000
"""A base of 100,000 passages is a tenth of it; a larger file is a mistake, not a base."""

_REMEDY: Final = "correct that line; docs/reference.md says what each field holds"
_PASSAGE_ID: Final = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_UNCHECKED: Final = re.compile(r"\bmemory\b|\bunverified\b|trí nhớ", re.IGNORECASE)

_RESEAL: Final = (
    "if you changed it, run `kiemchung reference check`, then `kiemchung reference seal`; else put"
    " the file back as it was"
)

T = TypeVar("T", Document, Passage)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceBase:
    """Everything that claims are set beside; ``version`` changes with every byte of it."""

    documents: tuple[Document, ...]
    passages: tuple[Passage, ...]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that keeps a base from being used; ``where`` is ``file:line``."""

    where: str
    message: str


@dataclass(frozen=True, slots=True)
class _Row(Generic[T]):
    """A value and the place that it was read from."""

    where: str
    value: T


def load(folder: Path | None = None) -> ReferenceBase:
    """Return the base in ``folder``, or the shipped one.

    Raises:
        BadReferenceError: the first line that cannot be used, as ``file:line``; or a file that is
            not the one that was sealed.
    """
    chosen = SHIPPED if folder is None else folder
    verify(chosen)
    problems: list[Problem] = []
    documents, passages = _read_both(chosen, problems)
    problems += _broken_links(documents, passages)
    for problem in problems:
        raise BadReferenceError(problem.message, where=problem.where, remedy=_REMEDY)
    newest = max((row.value.snapshot_as_of for row in documents), default=date(1970, 1, 1))
    content = b"\0".join((chosen / name).read_bytes() for name in (DOCUMENTS, PASSAGES))
    return ReferenceBase(
        documents=tuple(row.value for row in documents),
        passages=tuple(row.value for row in passages),
        version=f"{newest:%Y.%m}+{hashlib.sha256(content).hexdigest()[:12]}",
    )


def in_force(passages: Iterable[Passage], day: date) -> list[Passage]:
    """Return the passages that held on ``day``; ``valid_to`` is the first day without them.

    A sentence about 2020 is not wrong for disagreeing with a law of 2023.
    """
    return [p for p in passages if holds(p, day)]


def holds(passage: Passage, day: date) -> bool:
    """Whether ``passage`` held on ``day``."""
    return passage.valid_from <= day and (passage.valid_to is None or day < passage.valid_to)


def check(folder: Path | None = None) -> list[Problem]:
    """Return every problem of the base in ``folder`` (or of the shipped one), in file order.

    Beyond what `load` refuses: dates that contradict each other, a passage outside its document's
    validity, versions of a rule with a gap or an overlap, cues under which a passage does not even
    find itself, and facts of which nobody says how they were checked.
    """
    chosen = SHIPPED if folder is None else folder
    problems: list[Problem] = []
    documents, passages = _read_both(chosen, problems)
    return _all_problems(documents, passages, problems) + seal_problems(chosen)


def verify(folder: Path | None = None) -> None:
    """Refuse a base whose files are not those that were sealed; their lines are not read.

    Raises:
        BadReferenceError: a file is another one.
    """
    for problem in seal_problems(SHIPPED if folder is None else folder):
        raise BadReferenceError(problem.message, where=problem.where, remedy=_RESEAL)


def seal(folder: Path | None = None) -> Path:
    """Write down the SHA-256 of the base's files, so that from now on no other bytes are taken.

    A 7 that a flipped bit made of a 5 is a sound line of JSON, and another law. The file has the
    form that ``sha256sum --check`` reads.

    Raises:
        BadReferenceError: the first line that cannot be used; such a base is not sealed.
    """
    from kiemchung.shards import write_bytes_atomically  # pyarrow is only needed here

    chosen = SHIPPED if folder is None else folder
    problems: list[Problem] = []
    problems += _broken_links(*_read_both(chosen, problems))
    for problem in problems:
        raise BadReferenceError(problem.message, where=problem.where, remedy=_REMEDY)
    write_bytes_atomically(chosen / SUMS, _sums(chosen))
    return chosen / SUMS


def _sums(folder: Path) -> bytes:
    names = (DOCUMENTS, PASSAGES)
    lines = (f"{sha256_hex((folder / name).read_bytes())}  {name}\n" for name in names)
    return "".join(lines).encode("ascii")


def seal_problems(folder: Path) -> list[Problem]:
    """Return which file is not the one that was sealed; an own base need not be sealed."""
    path = folder / SUMS
    if folder != SHIPPED and not path.exists():
        return []
    try:
        sealed, found = path.read_bytes(), _sums(folder)
    except OSError as error:
        return [Problem(where=str(error.filename or path), message=f"cannot be read: {error}")]
    if sealed == found:
        return []
    for line, name in zip(found.splitlines(), (DOCUMENTS, PASSAGES), strict=True):
        if line not in sealed.splitlines():
            return [
                Problem(
                    where=str(folder / name),
                    message=f"not the file that was sealed: its SHA-256 is not that in {SUMS}",
                )
            ]
    return [Problem(where=str(path), message="not as it was written")]


def check_texts(documents: bytes, passages: bytes, folder: Path) -> list[Problem]:
    """Return the problems that `check` would find in ``folder`` if its files held these bytes."""
    problems: list[Problem] = []
    read_documents = list(_rows(documents, folder / DOCUMENTS, Document, problems))
    read_passages = list(_rows(passages, folder / PASSAGES, Passage, problems))
    return _all_problems(read_documents, read_passages, problems)


def _all_problems(
    documents: Sequence[_Row[Document]],
    passages: Sequence[_Row[Passage]],
    problems: list[Problem],
) -> list[Problem]:
    problems += _broken_links(documents, passages)
    for document in documents:
        problems += _document_problems(document)
    by_id = {row.value.doc_id: row.value for row in documents}
    for passage in passages:
        problems += _passage_problems(passage, by_id.get(passage.value.doc_id))
    problems += _chain_problems(passages)
    problems += _cue_problems(passages)
    return sorted(problems, key=_place)


def _place(problem: Problem) -> tuple[str, int]:
    name, _, line = problem.where.rpartition(":")
    return (name, int(line)) if line.isdigit() else (problem.where, 0)


# -- reading -----------------------------------------------------------------------------------


def _read_both(
    folder: Path, problems: list[Problem]
) -> tuple[list[_Row[Document]], list[_Row[Passage]]]:
    documents = list(_read(folder / DOCUMENTS, Document, problems))
    return documents, list(_read(folder / PASSAGES, Passage, problems))


def _read(path: Path, cls: type[T], problems: list[Problem]) -> Iterator[_Row[T]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            problems.append(Problem(where=str(path), message=f"larger than {MAX_BYTES} bytes"))
            return
        content = path.read_bytes()
    except OSError as error:
        problems.append(Problem(where=str(path), message=f"cannot be read: {error.strerror}"))
        return
    yield from _rows(content, path, cls, problems)


def _rows(content: bytes, path: Path, cls: type[T], problems: list[Problem]) -> Iterator[_Row[T]]:
    if not content.strip():
        problems.append(Problem(where=f"{path}:1", message="empty: half a base is worse than none"))
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            yield _Row(where, parse_record(line, cls))
        except ValueError as error:
            problems.append(Problem(where=where, message=str(error)))


def parse_record(line: str | bytes, cls: type[T]) -> T:
    """Return the `Document` or `Passage` that one line holds.

    Raises:
        ValueError: no JSON object, a field is missing, unknown, repeated or of another type.
    """
    try:
        text = line.decode("utf-8") if isinstance(line, bytes) else line
        row = json.loads(text, object_pairs_hook=_no_repeats)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"not a line of JSON in UTF-8: {error}") from error
    except RecursionError as error:
        raise ValueError("not a flat JSON object: nested too deep") from error
    if not isinstance(row, dict):
        raise ValueError(f"a JSON object is needed, not {type(row).__name__}")
    hints = _HINTS[cls]
    missing = [name for name in hints if name not in row]
    unknown = [name for name in row if name not in hints]
    if missing:
        raise ValueError(f"missing: {', '.join(missing)}")
    if unknown:
        raise ValueError(f"unknown field: {', '.join(sorted(unknown))}")
    return cls(**{name: _value(row[name], hint, name) for name, hint in hints.items()})


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("a field stands twice")
    return row


def _field_types(cls: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}


_HINTS: Final[dict[type[Any], dict[str, Any]]] = {
    cls: _field_types(cls) for cls in (Document, Passage)
}


def _value(value: object, hint: Any, name: str) -> Any:  # noqa: ANN401  a type hint has no narrower type
    """Return ``value`` as the type that ``hint`` asks for; no silent conversion."""
    if typing.get_origin(hint) is types.UnionType:
        if value is None:
            return None
        (hint,) = (a for a in typing.get_args(hint) if a is not type(None))
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{name}: a list is needed, not {value!r}")
        item = typing.get_args(hint)[0]
        return tuple(_value(v, item, f"{name}[{i}]") for i, v in enumerate(value))
    if not isinstance(value, str):
        raise ValueError(f"{name}: text is needed, not {value!r}")
    if hint is date:
        return parse_day(value, name)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        try:
            return hint(value)
        except ValueError:
            known = ", ".join(hint)
            raise ValueError(f"{name}: {value!r} is none of {known}") from None
    return value


def parse_day(value: str, name: str) -> date:
    """Return a day written YYYY-MM-DD, and only so: 1/7/2024 means two days in two countries.

    Raises:
        ValueError: written otherwise, or no day of the calendar.
    """
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        raise ValueError(f"{name}: {value!r} is not written YYYY-MM-DD")
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{name}: {value!r} is no day of the calendar ({error})") from error


def _broken_links(
    documents: Sequence[_Row[Document]], passages: Sequence[_Row[Passage]]
) -> list[Problem]:
    """Return repeated ids and passages of documents that are not there."""
    problems: list[Problem] = []
    first: dict[str, str] = {}
    for document in documents:
        key = document.value.doc_id
        if key in first:
            problems.append(_problem(document, f"doc_id {key!r} stands already at {first[key]}"))
        first.setdefault(key, document.where)
    seen: dict[str, str] = {}
    for passage in passages:
        key = passage.value.passage_id
        if key in seen:
            problems.append(_problem(passage, f"passage_id {key!r} stands already at {seen[key]}"))
        seen.setdefault(key, passage.where)
        if passage.value.doc_id not in first:
            problems.append(_problem(passage, f"doc_id {passage.value.doc_id!r} is no document"))
        if (
            passage.value.valid_to is not None
            and passage.value.valid_to <= passage.value.valid_from
        ):
            problems.append(_problem(passage, "valid_to is not later than valid_from"))
    return problems


# -- deeper checks -----------------------------------------------------------------------------


def _problem(row: _Row[Document] | _Row[Passage], message: str) -> Problem:
    return Problem(where=row.where, message=message)


def _document_problems(row: _Row[Document]) -> Iterator[Problem]:
    document = row.value
    for name in ("doc_id", "title", "kind", "publisher"):
        if not getattr(document, name).strip():
            yield _problem(row, f"{name} is empty")
    if not _is_address(document.url):
        yield _problem(row, f"url {document.url!r} is no http or https address")
    if document.valid_to is not None and document.valid_to <= document.valid_from:
        yield _problem(row, "valid_to is not later than valid_from")
    if document.issued is not None and document.issued > document.valid_from:
        yield _problem(row, f"issued {document.issued}, but in force from {document.valid_from}")


def _is_address(url: str) -> bool:
    return re.fullmatch(r"https?://[^\s/@]+\.[^\s/@]+(/\S*)?", url) is not None


def _passage_problems(row: _Row[Passage], document: Document | None) -> Iterator[Problem]:
    passage = row.value
    if not _PASSAGE_ID.fullmatch(passage.passage_id):
        yield _problem(row, f"passage_id {passage.passage_id!r}: use a-z, 0-9, dot and hyphen")
    for name in ("text", "citation", "topic"):
        if not getattr(passage, name).strip():
            yield _problem(row, f"{name} is empty")
    if not passage.checked.strip():
        yield _problem(row, "checked is empty: say how, and on which text")
    elif _UNCHECKED.search(passage.checked):
        yield _problem(row, f"checked says {passage.checked!r}: a fact nobody read may not ship")
    if not _is_address(passage.url):
        yield _problem(row, f"url {passage.url!r} is no http or https address")
    view = plain_view(passage.text)
    for condition in passage.conditions:
        if plain_view(condition) not in view:
            yield _problem(row, f"condition {condition!r} is not in the text")
    if document is not None:
        yield from _outside_document(row, document)
    yield from _kind_problems(row)


def _outside_document(row: _Row[Passage], document: Document) -> Iterator[Problem]:
    """A rule holds while its document does, with two exceptions that show in the passage itself.

    A clause may begin before the rest of its document (Điều 114 of the law of 2023): its citation
    then names the clause that says so ("hiệu lực theo …"). A fact about the document itself, topic
    ``document.…``, holds from the day of issue and for ever. A statistic stays the last known value
    of its series, so its document has no end to keep to.
    """
    passage = row.value
    about_document = passage.topic.startswith("document.")
    first = document.valid_from
    if about_document and document.issued is not None:
        first = document.issued
    if passage.valid_from < first and "hiệu lực theo" not in passage.citation:
        yield _problem(
            row,
            f"valid_from {passage.valid_from} lies before its document's {first}; "
            'an early clause says so in its citation ("hiệu lực theo …")',
        )
    if passage.kind is PassageKind.STATISTIC or about_document or document.valid_to is None:
        return
    if passage.valid_to is None:
        yield _problem(row, f"valid_to is null, but its document ends on {document.valid_to}")
    elif passage.valid_to > document.valid_to:
        yield _problem(
            row, f"valid_to {passage.valid_to} lies after its document's {document.valid_to}"
        )


def _kind_problems(row: _Row[Passage]) -> Iterator[Problem]:
    passage = row.value
    if passage.kind is PassageKind.STATISTIC:
        for name in ("series", "unit"):
            if not getattr(passage, name).strip():
                yield _problem(row, f"a statistic needs its {name}")
        if passage.as_of is None:
            yield _problem(row, "a statistic needs its as_of day")
        elif passage.as_of > passage.valid_from:
            yield _problem(row, f"as_of {passage.as_of} is later than valid_from")
    elif passage.series or passage.as_of is not None:
        yield _problem(row, "only a statistic has a series and an as_of day")


def _chain_problems(rows: Sequence[_Row[Passage]]) -> Iterator[Problem]:
    """Return versions that name no predecessor, the wrong one, or leave a gap or an overlap."""
    by_id = {row.value.passage_id: row for row in rows}
    chains: dict[tuple[str, str], list[_Row[Passage]]] = {}
    for row in rows:
        passage = row.value
        chains.setdefault((passage.topic, passage.series), []).append(row)
        if not passage.supersedes:
            continue
        before = by_id.get(passage.supersedes)
        if before is None:
            yield _problem(row, f"supersedes {passage.supersedes!r}, which is not there")
        elif before.value.topic != passage.topic:
            yield _problem(row, f"supersedes {passage.supersedes!r} of another topic")
        elif before.value.valid_to != passage.valid_from:
            yield _problem(
                row,
                f"begins on {passage.valid_from}, but {passage.supersedes!r} "
                f"ends on {before.value.valid_to}",
            )
    for versions in chains.values():
        versions.sort(key=lambda r: (r.value.valid_from, r.value.passage_id))
        for older, newer in pairwise(versions):
            if newer.value.supersedes != older.value.passage_id:
                yield _problem(
                    newer,
                    f"shares its topic {newer.value.topic!r} with {older.value.passage_id!r}, "
                    "but does not supersede it; one rule, one topic",
                )


def _cue_problems(rows: Sequence[_Row[Passage]]) -> Iterator[Problem]:
    """Return passages without cues, and those whose own text is not on point."""
    index = CueIndex([row.value for row in rows])
    for i, row in enumerate(rows):
        passage = row.value
        if not passage.cues or not all(passage.cues):
            yield _problem(row, "cues are empty: no claim could ever be on point")
        elif any(not tokens(plain_view(c.strip("#~ "))) for g in passage.cues for c in g):
            yield _problem(row, "a cue has no word in it")
        elif not index.on_point(tokens(plain_view(passage.text))) >> i & 1:
            yield _problem(row, "its own text is not on point: cues and text do not fit")
