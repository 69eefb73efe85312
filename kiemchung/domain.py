"""The values that every part of kiemchung speaks.

Frozen, slotted and keyword-only, so that a value cannot drift after it was checked. Nothing here
holds a score for a person or an outlet, and nothing here reads a file, a clock or the network.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final


class Label(StrEnum):
    """How a claim stands to the passages in force; a statement about text, never about a person."""

    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    NOT_ENOUGH_INFO = "NOT_ENOUGH_INFO"
    CONFLICTING = "CONFLICTING"  # set by people and rules only, never by the classifier


LABEL_ORDER: Final[tuple[Label, Label, Label]] = (
    Label.SUPPORTED,
    Label.REFUTED,
    Label.NOT_ENOUGH_INFO,
)
"""The order of the three probabilities wherever they stand in a row."""


class Status(StrEnum):
    """Abstained and failed are states of a judgement, not labels and not low scores."""

    OK = "ok"
    ABSTAINED = "abstained"
    FAILED = "failed"


class NeiReason(StrEnum):
    """Why the base could not judge."""

    NOT_FOUND = "not_found"
    NOT_IN_FORCE = "not_in_force"
    INSUFFICIENT = "insufficient"
    OTHER_SERIES = "other_series"


class Checkability(StrEnum):
    """Whether a sentence states something that a statute or a statistic could settle."""

    CHECKABLE = "CHECKABLE"
    OPINION = "OPINION"
    FORECAST = "FORECAST"
    EXPERIENCE = "EXPERIENCE"
    UNDERSPECIFIED = "UNDERSPECIFIED"


class Speech(StrEnum):
    """Who speaks, by form only; names of speakers are not kept."""

    OWN_VOICE = "own_voice"
    DIRECT_QUOTE = "direct_quote"
    INDIRECT_QUOTE = "indirect_quote"
    HEADLINE = "headline"
    REBUTTAL = "rebuttal"  # repeated in order to be contradicted: never flagged


class Distortion(StrEnum):
    """The ten ways in which a claim departs from its source."""

    NUMBER = "number"
    DATE = "date"
    ACTOR = "actor"
    NEGATION = "negation"
    CONDITION_DROPPED = "condition_dropped"
    EXAGGERATION = "exaggeration"
    MERGE_SPLIT = "merge_split"
    OUT_OF_CONTEXT = "out_of_context"
    WRONG_SOURCE = "wrong_source"
    LAW_EXPIRED = "law_expired"


class PassageKind(StrEnum):
    """A rule binds from a day on; a statistic describes one day or period."""

    STATUTE = "statute"
    STATISTIC = "statistic"


class AsOfMethod(StrEnum):
    """Where the day that a claim is about was read from."""

    PUBLICATION = "publication"
    NAMED_DATE = "named_date"
    NAMED_LAW = "named_law"
    UNKNOWN = "unknown"  # an undated article: its claims are not judged by the day of the crawl


class Decision(StrEnum):
    """What a reviewer can conclude."""

    REFUTED = "REFUTED"
    SUPPORTED = "SUPPORTED"
    NOT_ENOUGH_INFO = "NOT_ENOUGH_INFO"
    CONFLICTING = "CONFLICTING"
    UNCHECKABLE = "UNCHECKABLE"
    SKIPPED = "SKIPPED"


def digest(*parts: str) -> str:
    """Return 32 hex digits that depend on ``parts`` and their boundaries alone.

    Ids made of it are the same on every machine and in every run, so a repeat cannot double.
    """
    pieces: list[bytes] = []
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        pieces += (len(encoded).to_bytes(8, "big"), encoded)
    return hashlib.sha256(b"".join(pieces)).hexdigest()[:32]


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence; ``start`` and ``end`` count code points of the text that it was cut from."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A segmented word (``hợp tác xã`` is one); offsets count code points of the text given."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One version of one page, as extracted.

    ``article_id`` is a hash of the canonical address and the text, so a changed page is a new
    article with the same ``canonical_url``. ``story_id`` is shared by syndicated copies.
    """

    article_id: str
    outlet: str
    url: str
    canonical_url: str
    title: str
    lead: str
    body: str
    published_at: datetime | None  # aware; None is "unknown", never "now"
    published_method: str
    fetched_at: datetime
    raw_sha256: str
    title_method: str
    lead_method: str
    body_method: str
    noarchive: bool = False
    opt_outs: tuple[str, ...] = ()  # noai, noarchive, noimageai, nosnippet, tdm
    about_cooperatives: bool = False
    topic_reason: str = ""
    story_id: str = ""
    copied_from: str = ""  # article_id of the first copy seen, empty for a first copy

    @property
    def text(self) -> str:
        """Title, lead and body as one text; every offset of a mention counts from its start."""
        return "\n\n".join(part for part in (self.title, self.lead, self.body) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence seen as a claim; offsets count code points of the text given to the detector."""

    start: int
    end: int
    text: str
    checkability: Checkability
    check_worthiness: float  # 0..1, a rank for reading order, not a probability of falsehood
    speech: Speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A claim at its place in an article, with the day that it is about."""

    mention_id: str
    article_id: str
    claim_id: str  # shared by every mention of the same canonical claim
    start: int
    end: int
    text: str
    checkability: Checkability
    check_worthiness: float
    speech: Speech
    as_of: date
    as_of_method: AsOfMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A statute or a statistical publication."""

    doc_id: str
    number: str  # "17/2023/QH15"; empty where a publication has none
    title: str  # "Luật Hợp tác xã"
    short_names: tuple[str, ...]  # "Luật Hợp tác xã 2023", "Luật HTX năm 2023"
    kind: str  # law, decree, circular, resolution, statistic
    publisher: str
    issued: date | None
    valid_from: date
    valid_to: date | None  # first day on which it no longer holds
    url: str
    snapshot_as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One fact of the reference base in our own words, with the days on which it held.

    ``topic`` is shared by the successive versions of one rule. ``cues`` is a conjunction of
    alternatives: a claim is on point when every group has at least one phrase in it. A statistic
    carries ``series`` and ``as_of``: another series is no contradiction.
    """

    passage_id: str
    doc_id: str
    kind: PassageKind
    locator: str  # "Điều 4 khoản 7"
    text: str
    citation: str  # "Điều 4 khoản 7 Luật Hợp tác xã số 17/2023/QH15"
    valid_from: date
    valid_to: date | None
    url: str
    topic: str
    cues: tuple[tuple[str, ...], ...]
    excludes: tuple[str, ...] = ()  # phrases that put a claim beside the point
    conditions: tuple[str, ...] = ()  # phrases of the rule that must not be dropped
    supersedes: str = ""  # passage_id of the version before
    series: str = ""
    unit: str = ""
    as_of: date | None = None
    checked: str = ""  # how, and on which text, the fact was checked

    @property
    def sha256(self) -> str:
        """Hash of what a model and a reader see of this passage."""
        end = self.valid_to.isoformat() if self.valid_to else ""
        shown = "\x1f".join((self.citation, self.text, self.valid_from.isoformat(), end))
        return sha256_hex(shown.encode("utf-8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A passage as it was set beside a claim: exactly what the model saw, in its order."""

    passage_id: str
    passage_sha256: str
    rank: int
    score: float
    on_point: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One departure of the claim from the passage; offsets count from the claim's first letter."""

    kind: Distortion
    claim: str
    evidence: str
    start: int = -1  # -1: something is missing from the claim, so it has no place there
    end: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The machine's suggestion for one mention, with all that is needed to derive it again."""

    judgement_id: str
    mention_id: str
    run_id: str
    model_id: str
    base_version: str
    threshold: float
    status: Status
    label: Label | None
    nei_reason: NeiReason | None
    p_supported: float | None
    p_refuted: float | None
    p_nei: float | None
    flagged: bool
    evidence: tuple[Evidence, ...] = ()
    differences: tuple[Difference, ...] = ()
    error: str = ""  # set if and only if status is failed

    def __post_init__(self) -> None:
        """Refuse the combinations that would let a failure pass for a result."""
        settled = self.label is not None
        probabilities = (self.p_supported, self.p_refuted, self.p_nei)
        if (self.status is Status.OK) != settled:
            raise ValueError(f"status {self.status} with label {self.label}")
        if self.status is Status.OK:
            total = sum(p for p in probabilities if p is not None)
            if None in probabilities or abs(total - 1.0) > 1e-3:
                raise ValueError(f"probabilities {probabilities} do not sum to 1")
        if self.flagged and (self.label is not Label.REFUTED or not self.evidence):
            raise ValueError("a flag needs a REFUTED label and the passages it rests on")
        if (self.status is Status.FAILED) != bool(self.error):
            raise ValueError("a failed judgement, and only that, names its error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One act of a reviewer; append-only, so an undo is a new row that names the old one."""

    review_id: int
    mention_id: str
    judgement_id: str
    reviewer: str  # account name
    decision: Decision
    decision_before_model: Decision | None  # blind-first: what was decided before the suggestion
    shown_model: bool
    distortions: tuple[Distortion, ...]
    cited_passages: tuple[str, ...]
    note: str
    seconds: float
    created_at: datetime
    undoes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """Where every address and article of a run ended; the sums are part of the result."""

    discovered: int = 0
    fetched: int = 0
    unchanged: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    pending: int = 0
    stored: int = 0
    duplicate: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)

    def mismatches(self) -> tuple[str, ...]:
        """Return the sums that do not match, empty when all do."""
        found = []
        ended = (
            self.fetched
            + self.unchanged
            + sum(self.refused.values())
            + sum(self.failed.values())
            + self.pending
        )
        if self.discovered != ended:
            found.append(f"discovered {self.discovered}, but {ended} ended in a named state")
        kept = self.stored + self.duplicate + sum(self.quarantined.values())
        if self.fetched != kept:
            found.append(f"fetched {self.fetched}, but {kept} stored, duplicate or quarantined")
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutletHealth:
    """How crawl and extraction of one outlet went in one run: counts, nothing about its merit."""

    outlet: str
    lists: int  # feeds, sitemaps, listings and searches asked
    lists_read: int
    discovered: int
    fetched: int
    unchanged: int
    refused: int
    failed: int
    articles: int  # pages with an article, about cooperatives or not
    cooperative: int
    quarantined: int
    title_only: int
    with_lead: int
    without_date: int
    median_characters: int | None
    newest: str  # ISO instant of the newest article or entry, empty where unknown
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What every judgement of a run was made with; all empty for runs of earlier versions.

    With the run's configuration and base, and with what each judgement holds itself (passages and
    their hashes, spans, the page's digest), it is all that `kiemchung replay` sets beside today's.
    """

    code_sha256: str = ""  # of the program's own files that decide: `pipeline.provenance`
    extractor_version: str = ""  # hash of the code that turns pages into articles
    model_sha256: str = ""  # of the model's manifest, which holds the hash of each of its files
    threshold: float | None = None
    outlets: dict[str, str] = field(default_factory=dict)  # name -> hash of the outlet file's facts
    tools: dict[str, str] = field(default_factory=dict)  # package -> version


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An ISO week, its outlets and the configuration; never the clock."""

    run_id: str
    week: str  # "2026-W40"
    outlets: tuple[str, ...]
    config_sha256: str
    code_version: str
    base_version: str
    model_id: str
    accounting: Accounting
    alarms: tuple[str, ...] = ()
    health: tuple[OutletHealth, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """All that one run hands to the store."""

    run: Run
    articles: tuple[Article, ...]
    mentions: tuple[Mention, ...]
    judgements: tuple[Judgement, ...]
    passages: tuple[Passage, ...]
    documents: tuple[Document, ...]
