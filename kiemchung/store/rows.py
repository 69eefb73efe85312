"""What the store hands out; frozen values, no cursor behind them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from kiemchung.domain import (
    Accounting,
    Article,
    Decision,
    Difference,
    Distortion,
    Document,
    Judgement,
    Label,
    Mention,
    NeiReason,
    OutletHealth,
    Passage,
    Review,
    Speech,
    Status,
)
from kiemchung.priority import Novelty


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRow:
    """A passage as it stood when a model read it, with its citation and its days."""

    passage_id: str
    passage_sha256: str
    rank: int
    score: float
    on_point: bool
    citation: str
    text: str
    valid_from: date
    valid_to: date | None
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagRow:
    """One flagged mention with all that is needed to derive it again; no article text."""

    mention_id: str
    judgement_id: str
    run_id: str
    week: str
    claim_id: str
    claim: str
    start: int
    end: int
    speech: Speech
    as_of: date
    as_of_method: str
    article_id: str
    outlet: str
    url: str
    title: str
    published_at: datetime | None
    fetched_at: datetime
    raw_sha256: str
    story_id: str
    copies: int  # mentions of the same canonical claim in the store, this one included
    model_id: str
    base_version: str
    threshold: float
    config_sha256: str
    code_version: str
    code_sha256: str  # of the program's files that decide; empty for runs of earlier versions
    extractor_version: str
    model_sha256: str  # of the model's manifest
    outlet_sha256: str  # of what the outlet's file says
    tools: dict[str, str]  # package -> version, underthesea's segmenter among them
    label: Label
    p_supported: float
    p_refuted: float
    p_nei: float
    evidence: tuple[EvidenceRow, ...]
    differences: tuple[Difference, ...]
    decision: Decision | None  # the current one; None: nobody has concluded, or all was undone
    decided_at: datetime | None
    decision_before_model: Decision | None
    distortions: tuple[Distortion, ...]
    cited_passages: tuple[str, ...]
    note: str
    opt_outs: tuple[str, ...]  # what the page's owner asked for; exports honour it


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who may sign in."""

    key: int
    name: str
    role: str
    must_change: bool

    @property
    def may_review(self) -> bool:
        """Readers look on."""
        return self.role != "reader"

    @property
    def may_adjudicate(self) -> bool:
        """Who settles a disagreement and may withdraw somebody else's conclusion."""
        return self.role in ("adjudicator", "admin")

    @property
    def may_administer(self) -> bool:
        """Who changes accounts and reads the audit trail."""
        return self.role == "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """A canonical claim with the same passages beside it, however many mentions it has.

    The same words about another day meet other passages, so they are an entry of their own.
    """

    mention_key: int  # the mention that is put before the reviewer
    mention_keys: tuple[int, ...]
    text: str
    outlet: str
    title: str
    published_at: datetime | None
    as_of: date
    weeks: tuple[str, ...]
    flagged: bool
    sampled: bool
    p_refuted: float | None
    label: Label | None
    decision: Decision | None = None  # the one that holds
    claim_id: str = ""
    stories: int = 1  # copies of one text are one story
    novelty: Novelty = Novelty.NEW
    kinds: tuple[Distortion, ...] = ()  # of the machine's differences: never shown before a choice
    doubled: bool = False  # planned for two independent conclusions
    reopened: str = ""  # why a decided claim waits again


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """An entry without its words: what the order of the lists is made of, kept for all of them."""

    mention_key: int
    mention_keys: tuple[int, ...]
    claim: int  # hash of the claim's id in this process
    weeks: tuple[str, ...]
    flagged: bool
    sampled: bool
    p_refuted: float | None
    stories: int
    novelty: Novelty
    kinds: tuple[Distortion, ...]
    doubled: bool
    decision: Decision | None = None
    reopened: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPassage:
    """A passage beside a claim, and the version before it where there is one."""

    passage: Passage
    rank: int
    on_point: bool
    predecessor: Passage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Another place at which the same canonical claim appears."""

    mention_key: int
    outlet: str
    title: str
    url: str
    published_at: datetime | None
    as_of: date
    decision: Decision | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindChoice:
    """What a reviewer concluded before the suggestion was shown."""

    decision: Decision
    distortions: tuple[Distortion, ...]
    cited_passages: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceDetails:
    """What a blind choice said beside decision, kinds, passages and note."""

    correction: str = ""
    excepted: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReview:
    """A standing review with the key of its mention."""

    review: Review
    mention_key: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedPassage:
    """A passage on point that stood beside a claim when a person decided it."""

    mention_key: int
    text: str
    as_of: date
    decision: Decision
    passage_id: str
    sha256: str
    passage_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A mention with its article, its passages and what was said about it."""

    mention_key: int
    mention: Mention
    article: Article
    week: str
    judgement: Judgement | None
    passages: tuple[ShownPassage, ...]
    documents: tuple[Document, ...]
    copies: tuple[Copy, ...]
    decision: Review | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A merged run and its sums."""

    run_id: str
    week: str
    outlets: tuple[str, ...]
    code_version: str
    base_version: str
    model_id: str
    accounting: Accounting
    alarms: tuple[str, ...]
    health: tuple[OutletHealth, ...]
    articles: int
    mentions: int
    judgements: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekCounts:
    """How the claims of a week stand, each counted once."""

    checkability: dict[str, int]
    status: dict[Status, int]
    label: dict[Label, int]
    nei_reason: dict[NeiReason, int]
    flagged: int
    decisions: dict[Decision, int]
    sample_size: int
    sample_decided: int
    sample_refuted: int
