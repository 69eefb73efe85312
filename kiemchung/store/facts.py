"""What only a merge changes about one item, kept in memory until the next merge.

A desk asks for the same item at the choice, at the conclusion and once more when somebody goes
back, and the machine's rows about it are the same every time; what people concluded is read anew
with every request. The item behind the one on the screen is read while that one is being read.

Each table is asked by key with literal numbers, one small question after another: zone maps answer
those in half a millisecond in a table of a million rows, joins of views in ten.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final, TypeVar

import duckdb

from kiemchung.domain import Article, Document, Judgement, Mention, Passage
from kiemchung.store import convert, judged
from kiemchung.store.base import OpenFile
from kiemchung.store.claims import ClaimIndex
from kiemchung.store.kept import Kept
from kiemchung.store.rows import ShownPassage
from kiemchung.store.standing import few, literals

T = TypeVar("T")
KEPT: Final = 400
"""Answers that are kept: some tens of kilobytes an item, so ten megabytes in all."""
RENEWED: Final = 120
"""Answers looked through at a merge: three an item, two items for each of twenty people."""
_AT_ONCE: Final = 25
_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)
_ARTICLE: Final = (
    "outlet", "url", "canonical_url", "title", "lead", "body", "published_method", "raw_sha256",
    "title_method", "lead_method", "body_method", "noarchive", "about_cooperatives",
    "topic_reason", "story_id", "copied_from",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFacts:
    """A mention with its article and the judgement that counts."""

    mention: Mention
    article: Article
    week: str  # of the run whose judgement counts; empty without one
    judgement_key: int | None
    evidence_sha256: str  # of the passages on point; empty without a judgement
    judgement: Judgement | None
    passages: tuple[ShownPassage, ...]
    passage_keys: Mapping[str, int]  # of the wordings that are shown, by passage id
    documents: tuple[Document, ...]
    selected_as: str  # why it was put before a reviewer: flag, sample or none
    probability: float | None  # with which; None for none


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceFacts:
    """Where a canonical claim appeared."""

    mention_key: int
    outlet: str
    title: str
    url: str
    story_id: str
    published_at: datetime | None
    as_of: date
    week: str
    evidence_sha256: str


class Facts:
    """The kept answers of an open store; several threads may ask at once."""

    def __init__(self, store: OpenFile, claims: ClaimIndex) -> None:
        self._store = store
        self._claims = claims
        self._kept = Kept(KEPT)

    def forget(self) -> None:
        """A merge is done: what is read from now on is new."""
        self._kept.forget()

    def renew(self) -> None:
        """Do the same, and read what was asked for last again before it is let go.

        Whoever has a claim open meanwhile is answered as before the merge. A conclusion that had to
        read its item again, beside everybody else's, took 0.4 s.
        """
        stale = self._kept.grow_old()
        renewed: set[Hashable] = set()
        for key in reversed(stale[:RENEWED]):
            if isinstance(key, tuple) and key[0] == "item":
                fresh = Facts(self._store, self._claims)
                fresh.warm(key[1])
                answers = fresh._kept.answers()
                self._kept.renew(answers)
                renewed.update(answers)
        self._kept.drop(k for k in stale if k not in renewed)

    def item(self, mention_key: int) -> ItemFacts | None:
        """Return what the machine knows of a mention, None when there is no such mention."""
        return self._kept.get(("item", mention_key), lambda: self._item(mention_key))

    def places(self, mention_key: int) -> tuple[PlaceFacts, ...]:
        """Return all mentions of a mention's claim, itself included, oldest first."""
        return self._kept.get(("places", mention_key), lambda: self._places(mention_key))

    def successors(self, ids: Sequence[str]) -> dict[str, Passage]:
        """Return what came after these passages, by the id of the one before."""
        wanted = tuple(sorted(ids))
        return self._kept.get(("after", wanted), lambda: self._successors(wanted))

    def once(self, key: Hashable, load: Callable[[], T]) -> T:
        """Return what ``load`` answers, asked once for each merge."""
        return self._kept.get(key, load)

    def warm(self, mention_key: int) -> None:
        """Read what the desk shows of a mention before somebody asks for it."""
        found = self.item(mention_key)
        if found is not None:
            self.places(mention_key)
            self.successors([s.passage.passage_id for s in found.passages if s.on_point])

    def _item(self, mention_key: int) -> ItemFacts | None:
        key = int(mention_key)
        with self._store._cursor() as cursor:
            rows = convert.records(
                cursor,
                "SELECT article_key, mention_id, claim_id, start_char AS start, end_char AS"
                ' "end", text, checkability, check_worthiness, speech, as_of, as_of_method'
                f" FROM mention WHERE mention_key = {key}",
            )
            if not rows:
                return None
            (row,) = rows
            article_key = int(row["article_key"])
            (page,) = convert.records(
                cursor, f"SELECT * FROM article WHERE article_key = {article_key}"
            )
            opted = cursor.execute(
                f"SELECT opt_out FROM article_opt_out WHERE article_key = {article_key} ORDER BY 1"
            ).fetchall()
            mention = convert.mention(row | {"article_id": page["article_id"]})
            fetched = convert.utc(page["fetched_at"])
            assert fetched is not None
            article = Article(
                article_id=page["article_id"],
                published_at=convert.utc(page["published_at"]),
                fetched_at=fetched,
                opt_outs=tuple(str(o) for (o,) in opted),
                **{name: page[name] for name in _ARTICLE},
            )
            drawn = cursor.execute(
                f"SELECT reason, probability FROM selection WHERE mention_key = {key}"
                " ORDER BY reason, run_key DESC LIMIT 1"
            ).fetchone() or ("none", None)
            latest = current(cursor, [key]).get(key)
            found = ItemFacts(
                mention=mention, article=article, week="", judgement_key=None,
                evidence_sha256="", judgement=None, passages=(), passage_keys={}, documents=(),
                selected_as=drawn[0], probability=drawn[1],
            )  # fmt: skip
            return found if latest is None else self._beside(cursor, found, *latest)

    @staticmethod
    def _beside(
        cursor: duckdb.DuckDBPyConnection, found: ItemFacts, run_key: int, judgement_key: int
    ) -> ItemFacts:
        (row,) = convert.records(
            cursor, f"SELECT * FROM judgement WHERE judgement_key = {judgement_key}"
        )
        (run,) = convert.records(cursor, f"SELECT run_id, week FROM run WHERE run_key = {run_key}")
        shown = judged.evidence(cursor, f"e.judgement_key = {judgement_key}").get(judgement_key, [])
        differences = judged.differences(cursor, f"judgement_key = {judgement_key}")
        before = [e["supersedes"] for e in shown if e["supersedes"]]
        # Of several wordings of the version before, the one stored last.
        older = {
            r["passage_id"]: convert.passage(r)
            for r in convert.records(
                cursor,
                f"SELECT {judged.PASSAGE} FROM passage AS p WHERE list_contains(?::VARCHAR[],"
                " p.passage_id) ORDER BY p.passage_key",
                [before],
            )
        }
        passages = tuple(
            ShownPassage(
                passage=convert.passage(e),
                rank=e["rank"],
                on_point=e["on_point"],
                predecessor=older.get(e["supersedes"]),
            )
            for e in shown
        )
        wanted = sorted({s.passage.doc_id for s in passages} | {p.doc_id for p in older.values()})
        documents = tuple(
            Document(
                short_names=tuple(json.loads(d["short_names"])),
                **{k: v for k, v in d.items() if k not in ("document_key", "short_names")},
            )
            for d in convert.records(
                cursor,
                "SELECT * FROM document WHERE list_contains(?::VARCHAR[], doc_id)"
                " ORDER BY document_key",
                [wanted],
            )
        )
        return replace(
            found,
            week=str(run["week"]),
            judgement_key=judgement_key,
            evidence_sha256=str(row["evidence_sha256"]),
            judgement=convert.judgement(
                row | {"mention_id": found.mention.mention_id},
                run["run_id"],
                shown,
                differences.get(judgement_key, []),
            ),
            passages=passages,
            passage_keys={e["passage_id"]: int(e["passage_key"]) for e in shown},
            documents=documents,
        )

    def _places(self, mention_key: int) -> tuple[PlaceFacts, ...]:
        known = self.item(mention_key)
        if known is None:
            return ()
        claim_id = known.mention.claim_id
        with self._store._cursor() as cursor:
            inside = {mention_key, *self._claims.mentions(cursor, claim_id)}
            mentions = [
                m
                for m in appearances(
                    cursor,
                    inside,
                    mention="claim_id, as_of",
                    article="outlet, title, url, story_id, published_at",
                )
                if m["claim_id"] == claim_id
            ]
            latest = current(cursor, [m["mention_key"] for m in mentions])
            weeks = dict(cursor.execute("SELECT run_key, week FROM run").fetchall())
            hashes = evidence_hashes(cursor, [j for _, j in latest.values()])
        places = []
        for m in mentions:
            run, judgement = latest.get(m["mention_key"], (0, 0))
            places.append(
                PlaceFacts(
                    week=str(weeks.get(run, "")),
                    evidence_sha256=hashes.get(judgement, ""),
                    **{
                        name: m[name]
                        for name in (
                            "mention_key", "outlet", "title", "url", "story_id", "published_at",
                            "as_of",
                        )
                    },
                )
            )  # fmt: skip
        places.sort(key=lambda p: (p.published_at is None, p.published_at or _NEVER, p.mention_key))
        return tuple(places)

    def _successors(self, ids: tuple[str, ...]) -> dict[str, Passage]:
        if not ids:
            return {}
        rows = self._store._read(
            f"SELECT {judged.PASSAGE} FROM passage AS p"
            " WHERE list_contains(?::VARCHAR[], supersedes)"
            " ORDER BY passage_key",  # of several wordings the one that was stored last
            [list(ids)],
        )
        return {r["supersedes"]: convert.passage(r) for r in rows}


def current(cursor: duckdb.DuckDBPyConnection, keys: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return run and judgement that count for each of these mentions; unjudged ones are missing.

    The same as the view ``current_judgement``, for few mentions.
    """
    return {
        int(key): (int(run), int(judgement))
        for key, run, judgement in cursor.execute(
            "SELECT mention_key, max(run_key), arg_max(judgement_key, run_key) FROM run_judgement"
            f" WHERE mention_key IN ({literals(keys)}) GROUP BY mention_key"
        ).fetchall()
    }


def appearances(
    cursor: duckdb.DuckDBPyConnection,
    keys: Iterable[int],
    *,
    mention: str = "claim_id, text, as_of",
    article: str = "outlet, title, published_at",
) -> list[dict[str, Any]]:
    """Return these columns of mentions and their articles, highest key first.

    Asked in portions: a part of a query keeps its blocks in use until the others are done, and
    those of fifty parts were more than the memory of daily use.
    """
    wanted = sorted({int(k) for k in keys}, reverse=True)
    asked = f"SELECT mention_key, article_key, {mention} FROM mention"
    mentions = [
        row
        for start in range(0, len(wanted), _AT_ONCE)
        for row in convert.records(
            cursor,
            few(asked, "mention_key", wanted[start : start + _AT_ONCE])
            + " ORDER BY mention_key DESC",
        )
    ]
    articles = {
        a["article_key"]: a | {"published_at": convert.utc(a["published_at"])}
        for a in convert.records(
            cursor,
            f"SELECT article_key, {article} FROM article"
            f" WHERE article_key IN ({literals({m['article_key'] for m in mentions})})",
        )
    }
    return [m | articles[m["article_key"]] for m in mentions]


def evidence_hashes(
    cursor: duckdb.DuckDBPyConnection, judgement_keys: Iterable[int]
) -> dict[int, str]:
    """Return the hash of the passages on point beside each of these judgements."""
    return {
        int(key): str(sha256)
        for key, sha256 in cursor.execute(
            "SELECT judgement_key, evidence_sha256 FROM judgement"
            f" WHERE judgement_key IN ({literals(judgement_keys)})"
        ).fetchall()
    }
