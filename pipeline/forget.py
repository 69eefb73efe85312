"""Withdraw an article: from the store, the shards, the archive and the reports, for good.

Each step can be done again, and a repeat finishes what a crash cut off. The tombstone comes before
anything is taken away, so that no crawl and no merge brings the article back in between. Not
reached from here: backups and exports that were made before, which `--keep` and the operator
remove, and the address itself in the crawl ledger, which lies on the operator's disk only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from crawler import archive
from crawler.canonical import canonical_url
from crawler.ledger import Ledger
from crawler.run import ledger_path
from kiemchung import tombstones
from kiemchung.config import Settings
from kiemchung.domain import Article, Judgement, Mention
from kiemchung.errors import InputError, StoreLockedError, UnsafeAddressError
from kiemchung.shards import read_shard, write_bytes_atomically, write_shard
from kiemchung.store import Store, open_store, requests
from kiemchung.store.opening import compact
from kiemchung.tombstones import FORGOTTEN, Tombstone, covers
from pipeline.analysing import forget_prints
from pipeline.remembered import FILE
from pipeline.reporting import write_report
from pipeline.runs import RunPlan, read_run, sole
from pipeline.stages import PageOutcome
from pipeline.weekly import outlet_names, report_path, store_path
from pipeline.weeks import parse_week

T = TypeVar("T")
WITHIN_SECONDS: Final = 120.0
COMPACT_DUE: Final = "compact.due"


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """What was taken away where."""

    url_sha256: tuple[str, ...]
    article_ids: tuple[str, ...]
    mentions: int  # of the store
    shards: int  # files written anew
    records: int  # pages overwritten in the archive
    reports: tuple[str, ...]  # weeks whose report was written anew
    compacted: bool  # False: the server holds the file; its next start writes it anew


def named(article: str) -> str:
    """Return an address in its one spelling, or an article's id as it is."""
    try:
        return canonical_url(article)
    except UnsafeAddressError:
        return article


def in_store(
    store: Store,
    settings: Settings,
    names: Sequence[str],
    hashes: Sequence[str],
    *,
    reason: str,
    who: str,
) -> dict[str, Any]:
    """Do the part of the store's owner: the rows, and the reports that showed them."""
    done = store.forget(names, hashes, reason=reason, who=who)
    shown = outlet_names(settings)
    weeks = [w for w in done.weeks if report_path(w, settings).is_file()]
    for week in weeks:
        write_report(store, week, settings, outlet_names=shown)
    return asdict(done) | {"weeks": weeks}


def handlers(store: Store, settings: Settings) -> dict[str, requests.Handler]:
    """Return what a server does when a command asks it to forget."""

    def answer(facts: Mapping[str, Any]) -> requests.Facts:
        return in_store(
            store,
            settings,
            [str(n) for n in facts["names"]],
            [str(h) for h in facts["hashes"]],
            reason=str(facts["reason"]),
            who=str(facts["who"]),
        )

    return {FORGOTTEN: answer}


def forget(settings: Settings, article: str, *, reason: str, who: str) -> Withdrawal:
    """Withdraw ``article``, named by an address or its id, in the name of ``who``.

    Raises:
        InputError: no reason, or an id that the store does not know.
        StoreLockedError: the store is held by a process that takes no requests.
        KiemchungError: a run is being worked on; the same command finishes later.
    """
    if not reason.strip():
        raise InputError("no reason is given", remedy="--reason says why, for the audit trail")
    names = list(dict.fromkeys((article, named(article))))
    hashes = {tombstones.url_hash(n) for n in names if "://" in n}
    if hashes:  # before anything is taken away
        _lay(settings, tuple(sorted(hashes)), (), reason, who)
    told, served = _from_store(settings, names, sorted(hashes), reason=reason, who=who)
    hashes |= {*told["url_sha256"]}
    if not hashes:
        raise InputError(f"no article {article!r} is known", remedy="give its address in full")
    _lay(settings, tuple(sorted(hashes)), tuple(told["article_ids"]), reason, who)
    withdrawn = frozenset(hashes)
    shards = sum(
        _clean_run(path.parent, settings, withdrawn)
        for path in sorted((settings.data_dir / "runs").glob("*/run.json"))
    )
    records = _clean_archive(settings, withdrawn)
    for name in (FILE, "verdicts.sqlite"):  # what was worked out of its text is worked out anew
        for suffix in ("", "-wal", "-shm"):
            (settings.data_dir / f"{name}{suffix}").unlink(missing_ok=True)
    return Withdrawal(
        url_sha256=tuple(sorted(hashes)),
        article_ids=tuple(told["article_ids"]),
        mentions=int(told["mentions"]),
        shards=shards,
        records=records,
        reports=tuple(told["weeks"]),
        compacted=_compacted(settings, served=served),
    )


def _lay(
    settings: Settings, hashes: tuple[str, ...], ids: tuple[str, ...], reason: str, who: str
) -> None:
    stone = Tombstone(
        url_sha256=hashes,
        article_ids=ids,
        reason=reason,
        by=who,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    tombstones.add(settings.data_dir, stone)


def _from_store(
    settings: Settings, names: Sequence[str], hashes: Sequence[str], *, reason: str, who: str
) -> tuple[dict[str, Any], bool]:
    """Return what the store had, and whether a server owns it."""
    path = store_path(settings)
    if not path.is_file():
        return {"url_sha256": (), "article_ids": (), "mentions": 0, "weeks": ()}, False
    try:
        with open_store(path, wait_seconds=1.0) as store:
            return in_store(store, settings, names, hashes, reason=reason, who=who), False
    except StoreLockedError as error:
        facts = {"names": list(names), "hashes": list(hashes), "reason": reason, "who": who}
        told = requests.ask(path, FORGOTTEN, facts, pid=error.pid, within=WITHIN_SECONDS)
        return told, True


def _compacted(settings: Settings, *, served: bool) -> bool:
    path = store_path(settings)
    if not path.is_file():
        return True
    if served:
        write_bytes_atomically(path.with_name(COMPACT_DUE), b"a withdrawn article\n")
        return False
    compact(path)
    path.with_name(COMPACT_DUE).unlink(missing_ok=True)
    return True


def compact_if_due(settings: Settings) -> None:
    """Write the store anew where a server could not; called before a server opens it."""
    marker = store_path(settings).with_name(COMPACT_DUE)
    if marker.is_file():
        compact(store_path(settings))
        marker.unlink(missing_ok=True)


# -- shards ----------------------------------------------------------------------------------------


def _clean_run(folder: Path, settings: Settings, withdrawn: frozenset[str]) -> int:
    """Take the article out of the shards of one run and return how many files that changed."""
    facts = read_run(folder / "run.json")
    run = RunPlan(
        week=parse_week(facts["week"]),
        outlets=tuple(facts["outlets"]),
        config_sha256=facts["config_sha256"],
        data_dir=settings.data_dir,
    )
    with sole(run):
        changed = 0
        ids: set[str] = set()
        mentions: set[str] = set()
        for stage in ("extract", "analyse"):
            for path in sorted((folder / stage).glob("*.articles.parquet")):
                rows = read_shard(path, Article)
                gone = {a.article_id for a in rows if covers(withdrawn, (a.url, a.canonical_url))}
                ids |= gone
                changed += _rewrite(path, rows, [a for a in rows if a.article_id not in gone])
        for path in sorted((folder / "extract").glob("*.outcomes.parquet")):
            outcomes = read_shard(path, PageOutcome)
            told = [
                _ended(o) if covers(withdrawn, (o.url,)) or o.article_id in ids else o
                for o in outcomes
            ]
            changed += _rewrite(path, outcomes, told)
        for path in sorted((folder / "analyse").glob("*.mentions.parquet")):
            found = read_shard(path, Mention)
            mentions |= {m.mention_id for m in found if m.article_id in ids}
            changed += _rewrite(path, found, [m for m in found if m.article_id not in ids])
        for path in sorted((folder / "analyse").glob("*.prints.parquet")):
            changed += forget_prints(path, ids)
        for path in sorted((folder / "judge").glob("*.parquet")):
            judged = read_shard(path, Judgement)
            changed += _rewrite(path, judged, [j for j in judged if j.mention_id not in mentions])
        return changed


def _ended(outcome: PageOutcome) -> PageOutcome:
    """Count the page as quarantined, so that the sums of its run match as before."""
    return PageOutcome(
        url=outcome.url,
        outlet=outcome.outlet,
        raw_sha256=outcome.raw_sha256,
        state="quarantined",
        reason=FORGOTTEN,
        article_id="",
    )


def _rewrite(path: Path, before: list[T], after: list[T]) -> int:
    if before == after:
        return 0
    kinds: dict[str, type[Any]] = {
        "articles": Article, "outcomes": PageOutcome, "mentions": Mention,
    }  # fmt: skip
    match = re.search(r"\.(\w+)\.parquet$", path.name)
    write_shard(path, after, kinds[match[1]] if match else Judgement)
    return 1


# -- archive ---------------------------------------------------------------------------------------


def _clean_archive(settings: Settings, withdrawn: frozenset[str]) -> int:
    """Overwrite every fetched version of the page, of whatever run."""
    if not ledger_path(settings.data_dir).is_file():
        return 0
    ledger = Ledger(ledger_path(settings.data_dir))
    try:
        places = {
            (v.warc, v.warc_offset)
            for run in ledger.runs()
            for v in ledger.visits(run)
            if v.warc and v.warc_offset >= 0 and covers(withdrawn, (v.key, v.url, v.final_url))
        }
    finally:
        ledger.close()
    folder = settings.data_dir / "archive"
    return sum(archive.forget(folder, name, offset) for name, offset in sorted(places))
