"""Derive a stored flag again from what it was made of, and say whether it comes out the same.

From the archived page by its digest: extract, make canonical, find the mention, judge it with the
model of then, the threshold of then and the base, and compare everything that the flag holds. What
is another one now (code, configuration, outlet file, packages) is told beside the result: it is no
difference while the same comes out. `docs/provenance.md` says what each line means.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from crawler.isolate import Extractor
from crawler.ledger import Ledger, Visit
from crawler.outlets import load_outlets_leniently, outlet_sha256
from crawler.run import ledger_path, read_page
from kiemchung import __version__
from kiemchung.domain import Article, Judgement, Mention
from kiemchung.errors import ModelError, PageError
from models import registry
from pipeline import stages
from pipeline.code import code_sha256, tool_versions
from pipeline.extracting import page_of
from pipeline.judging import Judge
from pipeline.reading import mentions
from pipeline.weeks import parse_week

if TYPE_CHECKING:
    from kiemchung.config import Settings
    from kiemchung.store.sources import FlagSource

TOLERANCE: Final = 1e-6
ARCHIVE: Final = "archive"
STORED: Final = "stored article"
_ARTICLE: Final = (
    "article_id", "canonical_url", "title", "lead", "body", "published_at", "published_method",
    "title_method", "lead_method", "body_method", "raw_sha256",
)  # fmt: skip
_MENTION: Final = (
    "claim_id", "start", "end", "text", "checkability", "speech", "as_of", "as_of_method",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The stored judgement against the one derived now."""

    mention_id: str
    judgement_id: str = ""
    run_id: str = ""
    same: bool
    source: str = STORED
    """What it was derived from: the archived page, or the article in the store."""
    differences: tuple[str, ...]
    changed: tuple[str, ...] = ()
    """What is another one now than when the flag was made, though the same may come out."""
    notes: tuple[str, ...] = ()


def replay(mention: Mention, stored: Judgement, judge: Judge) -> Replay:
    """Judge ``mention`` anew and compare label, probabilities, passages, hashes and spans."""
    wrong = []
    if judge.model.model_id != stored.model_id:
        wrong.append(f"model {stored.model_id} then, {judge.model.model_id} now")
    if judge.base_version != stored.base_version:
        wrong.append(f"reference base {stored.base_version} then, {judge.base_version} now")
    if judge.threshold != stored.threshold:
        wrong.append(f"threshold {stored.threshold} then, {judge.threshold} now")
    again = judge.judge(mention, run_id=stored.run_id)
    wrong += _unequal(stored, again, ("status", "label", "nei_reason", "flagged", "error"))
    for name in ("p_supported", "p_refuted", "p_nei"):
        then, now = getattr(stored, name), getattr(again, name)
        if not _close(then, now):
            wrong.append(f"{name}: {then} then, {now} now")
    seen_then = [(e.passage_id, e.passage_sha256, e.rank, e.on_point) for e in stored.evidence]
    seen_now = [(e.passage_id, e.passage_sha256, e.rank, e.on_point) for e in again.evidence]
    if seen_then != seen_now:
        wrong.append(f"passages: {seen_then} then, {seen_now} now")
    elif not all(
        _close(a.score, b.score) for a, b in zip(stored.evidence, again.evidence, strict=True)
    ):
        wrong.append("passages: other scores of retrieval")
    if stored.differences != again.differences:
        wrong.append(f"found: {_spans(stored)} then, {_spans(again)} now")
    return Replay(
        mention_id=mention.mention_id,
        judgement_id=stored.judgement_id,
        run_id=stored.run_id,
        same=not wrong,
        differences=tuple(wrong),
    )


def _close(then: float | None, now: float | None) -> bool:
    if then is None or now is None:
        return then is now
    return abs(then - now) <= TOLERANCE


def _spans(judgement: Judgement) -> list[str]:
    return [f"{d.kind} {d.claim!r} {d.start}-{d.end}" for d in judgement.differences]


def _unequal(then: object, now: object, names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        a, b = getattr(then, name), getattr(now, name)
        if a != b:
            found.append(f"{name}: {_short(a)} then, {_short(b)} now")
    return found


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} letters)"


@dataclass(slots=True)
class Derivation:
    """A replay on its way: what it is made of, and what was found odd."""

    source: str = ARCHIVE
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Replayer:
    """Replays flags of one data folder; models are loaded once, each when first asked for.

    Raises:
        BadReferenceError: the base cannot be used.
        ModelError: a model file is missing or changed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Verdicts that are remembered would be no derivation.
        self._now = Judge.load(settings, remember=False)
        self._judges: dict[tuple[str, str, float], Judge] = {}
        self._outlets, _ = load_outlets_leniently(settings.outlet_dir)
        self._article: tuple[Article, tuple[Article, Derivation]] | None = None

    def run(self, flags: Sequence[FlagSource]) -> Iterator[Replay]:
        """Yield the replay of each flag; those of one article next to each other are quickest."""
        visits = self._visits(flags)
        with Extractor() as extractor:
            for flag in flags:
                yield self._one(flag, visits, extractor)

    def _visits(self, flags: Sequence[FlagSource]) -> dict[tuple[str, str], Visit]:
        path = ledger_path(self._settings.data_dir)
        if not path.is_file():
            return {}
        ledger = Ledger(path)
        try:
            return ledger.pages_of({f.article.raw_sha256 for f in flags})
        finally:
            ledger.close()

    def _one(
        self, flag: FlagSource, visits: dict[tuple[str, str], Visit], extractor: Extractor
    ) -> Replay:
        if self._article is None or self._article[0] != flag.article:
            self._article = (flag.article, self._derive(flag, visits, extractor))
        article, derived = self._article[1]
        wrong, notes = list(derived.differences), list(derived.notes)
        mention = self._mention(flag, article, wrong)
        judge = self._judge(flag, wrong)
        found = replay(mention, flag.judgement, judge)
        wrong += found.differences
        return dataclasses.replace(
            found,
            same=not wrong,
            source=derived.source,
            differences=tuple(wrong),
            changed=tuple(self._changed(flag)),
            notes=tuple(notes),
        )

    # -- the article ---------------------------------------------------------------------------

    def _derive(
        self, flag: FlagSource, visits: dict[tuple[str, str], Visit], extractor: Extractor
    ) -> tuple[Article, Derivation]:
        """Return the article out of the archive; the stored one where that cannot be had."""
        made, stored = Derivation(), flag.article
        visit = visits.get((stored.raw_sha256, stored.url))
        if visit is None:
            made.differences.append(
                f"page: the ledger knows no page with SHA-256 {stored.raw_sha256} at {stored.url}"
            )
            return self._fall_back(stored, made)
        fetched = read_page(self._settings.data_dir, visit)
        where = f"{self._settings.data_dir / 'archive' / visit.warc}:{visit.warc_offset}"
        if "archive_expired" in fetched.flags:
            made.notes.append(
                f"archive_expired: {where} was removed after its time (keep_pages_days)"
            )
            return self._fall_back(stored, made)
        if "archive_damaged" in fetched.flags:
            made.differences.append(f"page: archive_damaged: {where} is gone or not as fetched")
            return self._fall_back(stored, made)
        outlet = self._outlets.get(stored.outlet)
        if outlet is None:
            made.differences.append(f"outlet: {stored.outlet} has no usable file now")
            return self._fall_back(stored, made)
        try:
            page = page_of(fetched, outlet, extractor, parse_week(flag.week))
        except PageError as error:
            made.differences.append(f"page: cannot be extracted now: {error.reason}")
            return self._fall_back(stored, made)
        article, _ = stages.article_of(page, fetched)
        made.differences += [f"article: {line}" for line in _unequal(stored, article, _ARTICLE)]
        return article, made

    @staticmethod
    def _fall_back(stored: Article, made: Derivation) -> tuple[Article, Derivation]:
        made.source = STORED
        return stored, made

    # -- the mention ---------------------------------------------------------------------------

    def _mention(self, flag: FlagSource, article: Article, wrong: list[str]) -> Mention:
        """Return the mention as found now; the stored one, and a difference, where it is not."""
        then = flag.mention
        if flag.article.text[then.start : then.end] != then.text:
            wrong.append(f"span: {then.start}-{then.end} of the stored article is another text")
        found = mentions(article, self._now.documents, undated=parse_week(flag.week).sunday)
        now = [m for m in found if m.start == then.start and m.text == then.text]
        if not now:
            wrong.append(f"mention: no claim found at {then.start}-{then.end} now")
            return then
        wrong += [f"mention: {line}" for line in _unequal(then, now[0], _MENTION)]
        return dataclasses.replace(now[0], mention_id=then.mention_id)

    # -- the judge -----------------------------------------------------------------------------

    def _judge(self, flag: FlagSource, wrong: list[str]) -> Judge:
        """Return a judge with the model and the threshold of then, as far as they can be had."""
        then = flag.judgement
        key = (then.model_id, flag.provenance.model_sha256, then.threshold)
        if key not in self._judges:
            self._judges[key] = dataclasses.replace(
                self._with_model(flag), threshold=then.threshold
            )
        judge = self._judges[key]
        sha256 = flag.provenance.model_sha256
        if sha256 and judge.model_sha256 != sha256 and judge.model.model_id == then.model_id:
            wrong.append(f"model files: {sha256[:12]} then, {judge.model_sha256[:12]} now")
        return judge

    def _with_model(self, flag: FlagSource) -> Judge:
        wanted = flag.provenance.model_sha256
        if wanted in ("", self._now.model_sha256):
            return self._now
        own = self._settings.data_dir / "models"
        folders = [registry.DEFAULT, registry.PLAIN]
        folders += [p.parent for p in sorted(own.glob(f"*/{registry.MANIFEST}"))]
        for folder in folders:
            if _is(folder, wanted):
                return Judge.load(self._settings, model_dir=folder, remember=False)
        return self._now  # the comparison names it

    # -- what is another one now -----------------------------------------------------------------

    def _changed(self, flag: FlagSource) -> Iterator[str]:
        then, base = flag.provenance, flag.judgement.base_version
        if not then.code_sha256:
            yield f"code: {flag.code_version} then, which kept no hash of itself"
        elif then.code_sha256 != code_sha256():
            yield (
                f"code: {flag.code_version} {then.code_sha256[:12]} then,"
                f" {__version__} {code_sha256()[:12]} now"
            )
        if then.extractor_version and then.extractor_version != stages.extractor_version():
            yield (
                f"extractor: {then.extractor_version[:12]} then,"
                f" {stages.extractor_version()[:12]} now"
            )
        config = self._settings.sha256()
        if flag.config_sha256 != config:
            yield f"configuration: {flag.config_sha256[:12]} then, {config[:12]} now"
        outlet = self._outlets.get(flag.article.outlet)
        before = then.outlets.get(flag.article.outlet)
        if before and outlet and outlet_sha256(outlet) != before:
            yield f"outlet file of {flag.article.outlet}: {before[:12]} then, another now"
        tools = tool_versions()
        for name in sorted({*then.tools, *tools}) if then.tools else ():
            if then.tools.get(name) != tools.get(name):
                yield f"{name}: {then.tools.get(name) or 'none'} then, {tools.get(name)} now"
        if self._now.base_version != base:
            yield f"reference base: {base} then, {self._now.base_version} now"
        if then.model_sha256 and self._now.model_sha256 != then.model_sha256:
            yield f"model in use: {flag.judgement.model_id} then, {self._now.model.model_id} now"
        if self._now.threshold != flag.judgement.threshold:
            yield f"threshold in use: {flag.judgement.threshold} then, {self._now.threshold} now"


def _is(folder: Path, model_sha256: str) -> bool:
    try:
        return registry.fingerprint(folder) == model_sha256
    except ModelError:
        return False


def summary(results: Sequence[Replay]) -> dict[str, Any]:
    """Return how many came out the same, from what, and what is another one now."""
    changed: dict[str, int] = {}
    for line in (line for r in results for line in r.changed):
        changed[line] = changed.get(line, 0) + 1
    return {
        "flags": len(results),
        "same": sum(r.same for r in results),
        "different": sum(not r.same for r in results),
        "from_archive": sum(r.source == ARCHIVE for r in results),
        "from_stored_article": sum(r.source == STORED for r in results),
        "changed": changed,
    }
