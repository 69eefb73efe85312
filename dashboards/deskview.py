"""What the desk shows of an item, worked out of what the store knows about it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from dashboards import marking
from kiemchung.domain import Article, Decision, Difference, Distortion, Mention, Passage
from kiemchung.store import BlindChoice, ChoiceDetails, Item, Listing, ShownPassage, Store
from kiemchung.store.details import MAX_COPIES, History, Place
from nlp.sentences import sentences
from nlp.structure import (
    Attribution,
    ClaimKind,
    Part,
    Resolved,
    attribution,
    claim_kind,
    parts,
    resolve,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """How a claim is built, read again from the article whenever it is shown."""

    kind: ClaimKind
    said: Attribution | None
    parts: tuple[Part, ...]
    context: tuple[Resolved, ...]


def structure(mention: Mention, article: Article) -> Structure:
    """Return the kind of the claim, who is quoted, its parts and what its pronouns stand for."""
    text = mention.text
    # Paragraphs before the claim hold more than the few sentences that are looked back.
    before = article.text[max(0, mention.start - 3000) : mention.start]
    found = parts(text)
    return Structure(
        kind=claim_kind(text),
        said=attribution(text),
        parts=found if len(found) > 1 else (),
        context=resolve(text, [s.text for s in sentences(before)]),
    )


def structure_of(store: Store, item: Item) -> Structure:
    """Return the same, worked out once: at the choice, at the conclusion, or before either."""
    key = ("structure", item.mention_key, item.mention, item.article.article_id)
    return store.facts.once(key, lambda: structure(item.mention, item.article))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The wordings before and after a change of the law, with the changed words marked."""

    before: Passage
    after: Passage
    old: tuple[marking.Stretch, ...]
    new: tuple[marking.Stretch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A passage beside the claim."""

    passage: Passage
    on_point: bool
    own: bool  # found by the reviewer, not shown by the machine
    pieces: tuple[marking.Piece, ...]
    changes: tuple[Change, ...]
    number: int  # of its box, from 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What stands in the form: what was sent, what was chosen before, or nothing yet."""

    decision: Decision | None = None
    kinds: frozenset[Distortion] = frozenset()
    cited: frozenset[str] | None = None  # None: nothing chosen, so what is on point is ticked
    note: str = ""
    correction: str = ""
    excepted: frozenset[int] = field(default=frozenset())

    @property
    def opened(self) -> bool:
        """Whether anything stands in the part that is folded at first."""
        return bool(self.kinds or self.note or self.correction)


def chosen(choice: BlindChoice | None, beside: ChoiceDetails) -> Fields:
    """Return the fields as the blind choice left them."""
    if choice is None:
        return Fields()
    return Fields(
        decision=choice.decision,
        kinds=frozenset(choice.distortions),
        cited=frozenset(choice.cited_passages) or None,
        note=choice.note,
        correction=beside.correction,
        excepted=beside.excepted,
    )


def changes(
    passage: Passage, predecessor: Passage | None, successor: Passage | None
) -> tuple[Change, ...]:
    """Return the changes of the law on both sides of a passage, the earlier one first."""
    pairs = [(predecessor, passage), (passage, successor)]
    found = []
    for before, after in pairs:
        if before is not None and after is not None and before.text != after.text:
            old, new = marking.compare(before.text, after.text)
            found.append(Change(before=before, after=after, old=old, new=new))
    return tuple(found)


def passages(
    shown: Sequence[ShownPassage],
    own: Sequence[Passage],
    successors: dict[str, Passage],
    differences: Sequence[Difference],
) -> list[Beside]:
    """Return what stands beside the claim: on point, then near, then the reviewer's own."""
    ordered = sorted(shown, key=lambda s: not s.on_point)
    found = [
        Beside(
            passage=s.passage,
            on_point=s.on_point,
            own=False,
            pieces=marking.pieces(
                s.passage.text,
                marking.evidence_marks(s.passage.text, differences) if s.on_point else (),
            ),
            changes=changes(s.passage, s.predecessor, successors.get(s.passage.passage_id)),
            number=number,
        )
        for number, s in enumerate(ordered, 1)
    ]
    known = {s.passage.passage_id for s in shown}
    rest = [p for p in own if p.passage_id not in known]
    return found + [
        Beside(
            passage=p,
            on_point=False,
            own=True,
            pieces=marking.pieces(p.text, ()),
            changes=(),
            number=len(ordered) + number,
        )
        for number, p in enumerate(rest, 1)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """The other places of the claim: those that a conclusion covers, and those that it does not."""

    listed: tuple[Place, ...]  # with a box each
    more: int  # covered without a box
    apart: tuple[Place, ...]  # other passages stand beside these: another day, another law


def copies(told: History, mention_key: int) -> Copies:
    """Return the copies of a claim as the desk lists them."""
    others = [p for p in told.places if p.mention_key != mention_key]
    same = [p for p in others if p.same_passages]
    return Copies(
        listed=tuple(same[:MAX_COPIES]),
        more=max(len(same) - MAX_COPIES, 0),
        apart=tuple(p for p in others if not p.same_passages)[:MAX_COPIES],
    )


def around(found: Listing, mention_key: int) -> tuple[int | None, int | None, int | None]:
    """Return the position of an item in its list, and the items before and after it.

    Behind the last one comes the first; beside an item of another list, too.
    """
    number = found.number_of(mention_key)
    if number is None:
        return None, None, found.slot(0).mention_key if found else None
    before = found.slot(number - 1).mention_key if number else None
    after = found.slot((number + 1) % len(found)).mention_key if len(found) > 1 else None
    return number + 1, before, after


def own_ids(item: Item, cited: Collection[str] | None) -> set[str]:
    """Return the cited passages that the machine had not shown."""
    return set(cited or ()) - {s.passage.passage_id for s in item.passages}
