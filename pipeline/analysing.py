"""From articles to claims and to the stories that they tell: what one worker does for one shard.

A shard is read once: its claims are found, and of every text a fingerprint is kept. Which articles
are copies of others is asked of the fingerprints of the whole week, which are a fortieth of its
texts; the articles are then written down with the answer, again a shard at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from kiemchung.domain import Article, AsOfMethod, Checkability, Document, Mention, Speech, digest
from kiemchung.shards import read_shard, read_table, write_shard, write_table
from nlp.matching import PERMUTATIONS, Fingerprint, StoryPlace, fingerprint, place
from pipeline.reading import mentions
from pipeline.remembered import Remembered, key_of
from pipeline.versions import text_version

KIND: Final = "analysis"
_OWN: Final = tuple(
    f.name for f in fields(Mention) if f.name not in ("mention_id", "article_id", "text")
)
_PRINTS: Final = pa.schema(
    [
        ("article_id", pa.string()),
        ("when", pa.string()),
        ("canonical_url", pa.string()),
        ("sentences", pa.binary()),
        ("whole", pa.binary()),
        ("signature", pa.binary()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadContext:
    """What a worker needs to read articles: the documents, and where results are remembered."""

    documents: tuple[Document, ...]
    undated: date
    remembered: Path | None

    @property
    def version(self) -> str:
        """All that the claims of a text follow from besides the text."""
        documents = digest(*(repr(asdict(d)) for d in self.documents))
        return digest(text_version(), documents, self.undated.isoformat())


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTask:
    """One shard of extracted articles; ``rows`` are those that stand in no shard before it."""

    source: Path
    rows: tuple[int, ...]
    mentions: Path
    prints: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDone:
    """What one shard came to; ``known`` of its articles were read before."""

    articles: int
    known: int


class ReadJob:
    """Finds the claims of articles and takes their fingerprints."""

    def __init__(self, context: ReadContext) -> None:
        self._context = context
        self._known = (
            Remembered(context.remembered, KIND, context.version) if context.remembered else None
        )

    def __call__(self, task: ReadTask, /) -> ReadDone:
        """Write mentions and fingerprints of one shard."""
        every = read_shard(task.source, Article)
        articles = [every[row] for row in task.rows]
        keys = [_key(article) for article in articles]
        before = self._known.get(keys) if self._known else {}
        made: dict[bytes, bytes] = {}
        found: list[Mention] = []
        prints: list[Fingerprint] = []
        for key, article in zip(keys, articles, strict=True):
            packed = before.get(key) or made.get(key)
            if packed is None:
                packed = made[key] = self._read(article)
            own, kept = _unpack(packed, article)
            found += own
            prints.append(kept)
        write_shard(task.mentions, found, Mention)
        write_table(task.prints, _print_table(articles, prints))
        if self._known:
            self._known.put(made)
        return ReadDone(articles=len(articles), known=len(articles) - len(made))

    def _read(self, article: Article) -> bytes:
        found = mentions(article, self._context.documents, undated=self._context.undated)
        kept = fingerprint(article.body)
        rows = [[_plain(getattr(m, name)) for name in _OWN] for m in found]
        signature = b"" if kept.signature is None else kept.signature.tobytes()
        return json.dumps(
            [rows, kept.sentences.tobytes().hex(), kept.whole.hex(), signature.hex()],
            ensure_ascii=False,
        ).encode()

    def close(self) -> None:
        """Close the file of remembered results."""
        if self._known:
            self._known.close()


def _key(article: Article) -> bytes:
    """Return what the claims of an article follow from; where it stood is no part of it."""
    published = article.published_at.isoformat() if article.published_at else ""
    return key_of(article.title, article.lead, article.body, published)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _unpack(packed: bytes, article: Article) -> tuple[list[Mention], Fingerprint]:
    """Return the mentions of ``article`` and the fingerprint of its body."""
    rows, sentences, whole, signature = json.loads(packed)
    text = article.text
    found = []
    for row in rows:
        values: dict[str, Any] = dict(zip(_OWN, row, strict=True))
        start, end = values["start"], values["end"]
        found.append(
            Mention(
                mention_id=digest(article.article_id, str(start), str(end)),
                article_id=article.article_id,
                text=text[start:end],
                **values
                | {
                    "checkability": Checkability(values["checkability"]),
                    "speech": Speech(values["speech"]),
                    "as_of": date.fromisoformat(values["as_of"]),
                    "as_of_method": AsOfMethod(values["as_of_method"]),
                },
            )
        )
    return found, Fingerprint(
        sentences=np.frombuffer(bytes.fromhex(sentences), np.uint64),
        whole=bytes.fromhex(whole),
        signature=np.frombuffer(bytes.fromhex(signature), np.uint64) if signature else None,
    )


def _print_table(articles: Sequence[Article], prints: Sequence[Fingerprint]) -> pa.Table:
    # A sort key only: an undated copy is never taken for the original of a dated one.
    when = [a.published_at.isoformat() if a.published_at else "9999" for a in articles]
    columns = [
        [a.article_id for a in articles],
        when,
        [a.canonical_url for a in articles],
        [p.sentences.tobytes() for p in prints],
        [p.whole for p in prints],
        [None if p.signature is None else p.signature.tobytes() for p in prints],
    ]
    return pa.table(dict(zip(_PRINTS.names, columns, strict=True)), schema=_PRINTS)


def stories_of(paths: Iterable[Path]) -> list[StoryPlace]:
    """Return the story of every article in the fingerprint shards ``paths``, in their order.

    The earliest copy is the original. About 1.2 kB an article are held in memory.
    """
    ids: list[str] = []
    order: list[tuple[str, str]] = []
    prints: list[Fingerprint] = []
    for path in paths:
        for row in read_table(path, Fingerprint, columns=_PRINTS.names).to_pylist():
            ids.append(row["article_id"])
            order.append((row["when"], row["canonical_url"]))
            signature = row["signature"]
            prints.append(
                Fingerprint(
                    sentences=np.frombuffer(row["sentences"], np.uint64),
                    whole=row["whole"],
                    signature=np.frombuffer(signature, np.uint64, PERMUTATIONS)
                    if signature
                    else None,
                )
            )
    reading = sorted(range(len(ids)), key=order.__getitem__)
    placed = place([ids[n] for n in reading], [prints[n] for n in reading])
    back = dict(zip(reading, placed, strict=True))
    return [back[n] for n in range(len(ids))]


def forget_prints(path: Path, ids: set[str]) -> bool:
    """Take the fingerprints of articles out of a shard; return whether it had any."""
    table = read_table(path, Fingerprint, columns=_PRINTS.names)
    kept = pa.array([i not in ids for i in table.column("article_id").to_pylist()], pa.bool_())
    left = table.filter(kept)
    if left.num_rows == table.num_rows:
        return False
    write_table(path, left)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryTask:
    """The articles of one shard and the story of each, ready to be written down."""

    source: Path
    rows: tuple[int, ...]
    stories: tuple[str, ...]
    originals: tuple[str, ...]
    articles: Path


class StoryJob:
    """Writes articles down with their stories: two columns are changed, no text is read."""

    def __init__(self, context: None = None) -> None:
        del context

    def __call__(self, task: StoryTask, /) -> int:
        """Write one shard; return how many articles it has."""
        table = read_table(task.source, Article).take(pa.array(task.rows, pa.int64()))
        for name, values in (("story_id", task.stories), ("copied_from", task.originals)):
            at = table.schema.get_field_index(name)
            column = pa.array(list(values), pa.string())
            table = table.set_column(at, table.schema.field(at), column)
        write_table(task.articles, table)
        return len(task.rows)

    def close(self) -> None:
        """Nothing is held."""


def distinct(paths: Sequence[Path]) -> Iterator[tuple[Path, tuple[int, ...], str]]:
    """Yield for every shard of articles the rows not seen before, and a hash of what they are.

    Two addresses with one article are one article, at its first place.
    """
    seen: set[bytes] = set()
    for path in paths:
        table = read_table(path, Article, columns=["article_id", "published_at"])
        rows: list[int] = []
        names: list[str] = []
        ids = table.column("article_id").to_pylist()
        dates: list[datetime | None] = table.column("published_at").to_pylist()
        for row, (article_id, published) in enumerate(zip(ids, dates, strict=True)):
            key = key_of(article_id)
            if key in seen:
                continue
            seen.add(key)
            rows.append(row)
            names.append(f"{article_id} {published.isoformat() if published else ''}")
        yield path, tuple(rows), digest(*names)
