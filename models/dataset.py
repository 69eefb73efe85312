"""A balanced set of constructed pairs whose claims give nothing away by themselves.

Around each source sentence a *cell* is made: the claim as the source has it and the claim after an
edit, beside evidence that says the one, evidence that says the other and evidence that is near but
silent. So every claim stands once under each label, and a model must read the evidence. What still
leaks is measured by a claim-only classifier on folds of source texts, and cells are dropped until
it stays at chance + `LEAK` (adversarial filtering, Le Bras et al. 2020, on whole cells).
"""

from __future__ import annotations

import json
import logging
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER, Distortion, Label, Passage, digest
from kiemchung.errors import InputError, RecordError
from models.construct import (
    Pair,
    Rewriter,
    corpus_files,
    pairs_of_passages,
    plain,
    raw_blocks,
    split,
)
from models.cues import normal
from models.distort import NAMED, Edit, Versions, edits
from nlp.sentences import sentence_spans

LOG: Final = logging.getLogger(__name__)
LEAK: Final = 0.05  # of macro-F1 above chance that the claim alone may give
CHANCE: Final = 1.0 / 3.0
FEELINGS: Final = (
    "Đáng tiếc là ", "Nóng: ", "Bất ngờ là ", "Trời ơi, ", "Thật vô lý, ", "Choáng váng: ",
    "Đau lòng thay, ", "Mừng quá, ", "Giật mình: ", "Buồn cười là ",
)  # fmt: skip
LONGEST: Final = 620  # words of a whole article used as evidence
RUN: Final = 60  # lines of a statute taken as one text
RARE_FIRST: Final = (
    str(Distortion.WRONG_SOURCE), str(Distortion.CONDITION_DROPPED), str(Distortion.EXAGGERATION),
    str(Distortion.MERGE_SPLIT), "unit", str(Distortion.DATE), "antonym",
    str(Distortion.NEGATION), str(Distortion.ACTOR), str(Distortion.NUMBER),
)  # fmt: skip
_DIGITS: Final = re.compile(r"\d+(?:[.,]\d+)*")
_WORDS: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One source text: headline and lead may be empty; ``group`` is what splits are made by."""

    group: str
    title: str
    lead: str
    sentences: tuple[str, ...]
    statute: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What `build` made and what it left out, with the claim-only figure before and after."""

    train: tuple[Pair, ...]
    held_out: tuple[Pair, ...]
    articles: int
    candidates: int
    dropped_by_filter: int
    dropped_for_balance: int
    claim_only_before: float
    claim_only: float

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of pairs of each label and each kind, both parts together."""
        pairs = (*self.train, *self.held_out)
        return {
            "labels": dict(sorted(Counter(str(p.label) for p in pairs).items())),
            "kinds": dict(sorted(Counter(p.kind for p in pairs).items())),
        }


# --- reading -------------------------------------------------------------------------------------


def articles(folder: Path, *, limit: int, seed: int = 0) -> list[Article]:
    """Return up to ``limit`` articles of a corpus folder, spread evenly over its files.

    Text files hold blocks parted by blank lines: news as headline, lead and body, one sentence a
    line; a file named ``statutes*`` running provisions. JSONL files hold ``title``, ``abstract``
    and ``body``.

    Raises:
        RecordError: nothing readable, or a line of a JSONL file is no record.
    """
    files = corpus_files(folder)
    share = max(1, -(-limit // len(files)))
    r = random.Random(seed)
    found: list[Article] = []
    for path in files:
        drawn = _drawn(_records(path), 2 * share, r)
        usable = (article for record in drawn if (article := _article_of(path, record)))
        found += [article for article, _ in zip(usable, range(share), strict=False)]
    r.shuffle(found)
    return found[:limit]


def _drawn(items: Iterable[list[str]], n: int, r: random.Random) -> list[list[str]]:
    """Return ``n`` items of a stream, each as likely as any other (Vitter's algorithm R)."""
    kept: list[list[str]] = []
    for i, item in enumerate(items):
        if len(kept) < n:
            kept.append(item)
        elif (at := r.randrange(i + 1)) < n:
            kept[at] = item
    return kept


def _records(path: Path) -> Iterator[list[str]]:
    """Yield each text of a file as lines: headline, lead, then the body."""
    if not path.name.endswith(".jsonl"):
        yield from raw_blocks(path)
        return
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                title, lead = str(record.get("title", "")), str(record.get("abstract", ""))
                body = str(record.get("body") or record.get("text") or "")
            except (ValueError, AttributeError) as error:
                raise RecordError(str(error), where=f"{path}:{number}") from error
            yield [title, lead, *body.split("\n")]


def _article_of(path: Path, lines: Sequence[str]) -> Article | None:
    block = [plain(line) for line in lines]
    if path.name.startswith("statutes"):
        # A codified title is a book of a thousand pages: a run of its lines is one text.
        at = int(digest(*block[:3])[:6], 16) % max(1, len(block) - RUN)
        article = _article("", "", block[at : at + RUN], statute=True)
    elif len(block) > 5 and not block[0].rstrip().endswith((".", "!", ":")):
        article = _article(block[0], block[1], block[2:])
    else:
        return None
    return article if len(article.sentences) >= 4 else None


def _article(title: str, lead: str, body: Sequence[str], *, statute: bool = False) -> Article:
    text = "\n".join(x for x in body if x.strip())
    told = [text[a:b] for a, b in sentence_spans(text)]
    return Article(
        group=digest("article", title, text),
        title=title.strip(),
        lead=lead.strip(),
        sentences=tuple(
            sentence
            for s in told
            if _is_prose(sentence := _HEADING.sub("", " ".join(s.split())), statute=statute)
        ),
        statute=statute,
    )


_HEADING: Final = re.compile(r"^(?:Điều|Khoản|Mục|Chương)\s\w+[.:]\s+|^\w{1,2}[.)]\s+")
_RULING: Final = frozenset({"phải", "được", "không", "là", "có", "cấm", "chịu", "gồm", "bị"})


def _is_prose(sentence: str, *, statute: bool = False) -> bool:
    if statute and not _RULING & set(sentence.split()):
        return False  # a heading
    words = len(sentence.split())
    return (
        7 <= words <= 70
        and sentence[:1].isupper()
        and not set("|#*<>{}=") & set(sentence)
        and "http" not in sentence
        and sum(c.isalpha() or c.isspace() for c in sentence) > 0.8 * len(sentence)
        and not sentence.rstrip().endswith(("?", ":"))
    )


# --- near but silent ---------------------------------------------------------------------------


def _content(text: str) -> frozenset[str]:
    return frozenset(w for w in _WORDS.findall(normal(text)) if len(w) > 1)


def _shared(claim: frozenset[str], other: frozenset[str]) -> float:
    return len(claim & other) / max(1, len(claim))


class Near:
    """Sentences of other articles by the names and the counts in them."""

    def __init__(self, found: Iterable[Article], *, most: int = 12) -> None:
        self.by_key: dict[str, list[tuple[str, str]]] = {}
        for article in found:
            for sentence in article.sentences:
                for key in self.keys(sentence):
                    row = self.by_key.setdefault(key, [])
                    if len(row) < most:
                        row.append((article.group, sentence))

    @staticmethod
    def keys(sentence: str) -> list[str]:
        """Return the names of a sentence and its numbers, each number with the word after it."""
        names = [f"name {normal(m.group().strip())}" for m in NAMED.finditer(sentence)]
        view = normal(sentence)
        numbers = [
            f"number {m.group()}" for m in re.finditer(r"(?<![\d.,/])\d+(?:[.,]\d+)*\s\w+", view)
        ]
        return names + numbers

    def of(self, sentence: str, group: str, r: random.Random) -> tuple[str, str] | None:
        """Return (sentence of another article, "same entity" or "same number"), or None."""
        keys = self.keys(sentence)
        r.shuffle(keys)
        mine = _content(sentence)
        for key in keys:
            rest = [s for g, s in self.by_key.get(key, ()) if g != group]
            rest = [s for s in rest if _shared(mine, _content(s)) < 0.5]
            if rest:
                kind = "same entity" if key.startswith("name") else "same number"
                return r.choice(rest), kind
        return None


# --- cells ---------------------------------------------------------------------------------------


def _reworded(rewriter: Rewriter, sentence: str, keep: str) -> str:
    """Return the sentence said otherwise with ``keep`` still in it."""
    wanted = normal(keep)
    said = sentence
    for _ in range(6):
        claim = rewriter.harmless(sentence)
        if wanted in normal(claim):
            said = claim
            break
    if rewriter.random.random() < 0.08:  # a feeling in front is no fact, whatever the label
        said = rewriter.random.choice(FEELINGS) + _lower(said)
    return said


def _swapped(text: str, old: str, new: str) -> str | None:
    """Return ``text`` with every whole-word ``old`` replaced, or None where there is none."""
    pattern = re.compile(rf"(?<!\w){re.escape(old)}(?!\w)")
    changed, n = pattern.subn(lambda _: new, text)
    return changed if n else None


def _context(article: Article, at: int, r: random.Random) -> tuple[list[str], int, str]:
    """Return the sentences around ``at``, the place of it in them, and the form's name."""
    pick = r.random()
    if pick < 0.40:
        return [article.sentences[at]], 0, "sentence"
    if pick < 0.75:
        before, after = r.randrange(0, 4), r.randrange(0, 4)
        start = max(0, at - before)
        return list(article.sentences[start : at + after + 1]), at - start, "passage"
    total, start, end = 0, at, at
    while total < LONGEST and (start > 0 or end < len(article.sentences)):
        if end < len(article.sentences):
            total += len(article.sentences[end].split())
            end += 1
        if start > 0:
            start -= 1
            total += len(article.sentences[start].split())
    return list(article.sentences[start:end]), at - start, "article"


def _silent(
    article: Article, at: int, told: Sequence[str], place: int, near: Near, r: random.Random
) -> tuple[str, str] | None:
    """Return evidence that is near the sentence but does not say it, and the kind of nearness."""
    mine = _content(article.sentences[at])
    if len(told) > 1:
        rest = [s for i, s in enumerate(told) if i != place]
        if max(_shared(mine, _content(s)) for s in rest) < 0.6:
            return " ".join(rest), "same article"
        return None
    if r.random() < 0.5:
        found = near.of(article.sentences[at], article.group, r)
        if found is not None:
            return found
    scored = sorted(
        ((_shared(mine, _content(s)), s) for i, s in enumerate(article.sentences) if i != at),
        reverse=True,
    )
    rest = [s for share, s in scored if share < 0.55][:3]
    return (r.choice(rest), "same article") if rest else None


def sentence_cell(
    article: Article, at: int, edit: Edit, rewriter: Rewriter, near: Near
) -> list[Pair]:
    """Return the pairs around one sentence and one edit: up to six, two of each label."""
    r = rewriter.random
    sentence = " ".join(article.sentences[at].split())
    told, place, form = _context(article, at, r)
    silence = _silent(article, at, told, place, near, r)
    if silence is None:
        return []
    if form != "sentence" and any(
        normal(edit.old) in normal(s) for i, s in enumerate(told) if i != place
    ):
        return []  # the rest of the text would speak against the mirrored evidence
    true = _reworded(rewriter, sentence, edit.old)
    false = _reworded(rewriter, edit.after, edit.new)
    says = " ".join(told)
    says_other = " ".join([*told[:place], edit.after, *told[place + 1 :]])
    quiet, nearness = silence

    def pair(claim: str, evidence: str, label: Label, kind: str) -> Pair:
        return Pair(claim=claim, evidence=evidence, label=label, kind=kind, group=article.group)

    made = [
        pair(true, says, Label.SUPPORTED, f"same {form}"),
        pair(false, says, Label.REFUTED, edit.kind),
        pair(false, says_other, Label.SUPPORTED, f"same {form}"),
        pair(false, quiet, Label.NOT_ENOUGH_INFO, nearness),
        pair(true, quiet, Label.NOT_ENOUGH_INFO, nearness),
    ]
    if edit.mirrors:
        made.append(pair(true, says_other, Label.REFUTED, edit.kind))
    return made


def summary_cell(article: Article, rewriter: Rewriter, near: Near) -> list[Pair]:
    """Return pairs whose claim is a journalist's own summary: headline or lead against the body.

    The claim counts as told by the body where every number and name of it stands there and most of
    its words do; a number, date or name changed in both makes the mirrored pairs.
    """
    r = rewriter.random
    leads = [article.lead[a:b] for a, b in sentence_spans(article.lead)] if article.lead else []
    options = [c for c in (article.title, *leads) if 8 <= len(c.split()) <= 45 and "?" not in c]
    r.shuffle(options)
    body = [s for s in article.sentences if _shared(_content(s), _content(article.lead)) < 0.9]
    for option in options:
        claim = " ".join(option.split()).rstrip(" .") + "."
        mine = _content(claim)
        order = sorted(range(len(body)), key=lambda i: -_shared(mine, _content(body[i])))
        chosen = sorted(order[: r.choice((2, 3, 5, 60))])
        told = " ".join(body[i] for i in chosen)
        view, whole = normal(told), _content(told)
        if _shared(mine, whole) < 0.7 or not all(
            normal(m.group().strip()) in view
            for m in (*NAMED.finditer(claim), *_DIGITS.finditer(claim))
        ):
            continue
        silence = near.of(claim, article.group, r)
        quiet = [i for i in order[::-1] if _shared(mine, _content(body[i])) < 0.4][:6]
        found = [e for e in edits(claim, rewriter) if e.kind in _IN_PLACE]
        r.shuffle(found)
        for edit in found:
            other = _swapped(told, edit.old, edit.new)
            if other is None or (silence is None and not quiet):
                continue
            evidence, nearness = silence or ("", "")
            if quiet and (silence is None or r.random() < 0.6):
                evidence, nearness = " ".join(body[i] for i in sorted(quiet)), "same article"
            rows = (
                (claim, told, Label.SUPPORTED, "summary"),
                (edit.after, told, Label.REFUTED, edit.kind),
                (edit.after, other, Label.SUPPORTED, "summary"),
                (claim, other, Label.REFUTED, edit.kind),
                (claim, evidence, Label.NOT_ENOUGH_INFO, nearness),
                (edit.after, evidence, Label.NOT_ENOUGH_INFO, nearness),
            )
            return [
                Pair(claim=c, evidence=e, label=label, kind=kind, group=article.group)
                for c, e, label, kind in rows
            ]
    return []


_IN_PLACE: Final = frozenset(
    {str(Distortion.NUMBER), str(Distortion.ACTOR), str(Distortion.DATE), "unit", "antonym",
     str(Distortion.WRONG_SOURCE)}
)  # fmt: skip


def clause_cell(article: Article, at: int, edit: Edit, rewriter: Rewriter) -> list[Pair]:
    """Return three pairs of one claim with a part too much: silent, told, and told otherwise."""
    r = rewriter.random
    sentence = " ".join(article.sentences[at].split())
    mine = _content(sentence)
    others = [
        s for i, s in enumerate(article.sentences)
        if i != at and 7 <= len(s.split()) <= 22 and _shared(_content(s), mine) < 0.4
        and normal(edit.old) not in normal(s)
    ]  # fmt: skip
    if not others or len(sentence.split()) > 40:
        return []
    more = r.choice(others)
    claim = rewriter.add_clause(_reworded(rewriter, sentence, edit.old), more.rstrip(" ."))
    rows = (
        (sentence, Label.NOT_ENOUGH_INFO, "added clause"),
        (f"{sentence} {more}", Label.SUPPORTED, "same passage"),
        (f"{edit.after} {more}", Label.REFUTED, edit.kind),
    )
    return [
        Pair(claim=claim, evidence=evidence, label=label, kind=kind, group=article.group)
        for evidence, label, kind in rows
        if label is not Label.REFUTED or edit.mirrors
    ]


def expired_cell(
    article: Article, at: int, edit: Edit, rewriter: Rewriter, near: Near
) -> list[Pair]:
    """Return pairs of a rule in two versions: each is true in its time and false in the other's."""
    r = rewriter.random
    sentence = " ".join(article.sentences[at].split())
    if len(sentence.split()) > 45:
        return []
    silence = _silent(article, at, [sentence], 0, near, r)
    if silence is None:
        return []
    versions = Versions.of(sentence, edit.after, r)
    quiet = Versions.of(silence[0], silence[0], r).text
    old = _lower(_reworded(rewriter, sentence, edit.old))
    new = _lower(_reworded(rewriter, edit.after, edit.new))
    expired = str(Distortion.LAW_EXPIRED)
    rows = (
        (versions.before + old, versions.text, Label.SUPPORTED, "law in force"),
        (versions.after + old, versions.text, Label.REFUTED, expired),
        (versions.after + new, versions.text, Label.SUPPORTED, "law in force"),
        (versions.before + new, versions.text, Label.REFUTED, expired),
        (versions.after + old, quiet, Label.NOT_ENOUGH_INFO, silence[1]),
        (versions.before + new, quiet, Label.NOT_ENOUGH_INFO, silence[1]),
    )
    return [
        Pair(claim=c, evidence=e, label=label, kind=kind, group=article.group)
        for c, e, label, kind in rows
    ]


def _lower(claim: str) -> str:
    return claim if NAMED.match(" " + claim) else claim[:1].lower() + claim[1:]


def cells(
    found: Sequence[Article], rewriter: Rewriter, *, per_article: int = 3
) -> list[list[Pair]]:
    """Return the cells of all articles: one summary where there is one, and of up to
    ``per_article`` sentences the rarest edit that each admits."""
    r = rewriter.random
    near = Near(found)
    made: list[list[Pair]] = []
    used: Counter[str] = Counter()
    for article in found:
        names = [m.group() for s in article.sentences for m in NAMED.finditer(s)]
        rewriter.names.extend(names)
        del rewriter.names[:-4000]
        if article.title:
            made.append(summary_cell(article, rewriter, near))
        places = list(range(len(article.sentences)))
        r.shuffle(places)
        for at in places[:per_article]:
            options = edits(" ".join(article.sentences[at].split()), rewriter)
            if not options:
                continue
            edit = min(options, key=lambda e: (used[e.kind], RARE_FIRST.index(e.kind)))
            pick = r.random()
            if article.statute and edit.mirrors and pick < 0.5:
                cell = expired_cell(article, at, edit, rewriter, near)
            elif pick < 0.2:
                cell = clause_cell(article, at, edit, rewriter)
            else:
                cell = sentence_cell(article, at, edit, rewriter, near)
            if cell:
                used[edit.kind] += 1
                made.append(cell)
    return [_sound(cell) for cell in made if _sound(cell)]


def _sound(cell: Sequence[Pair]) -> list[Pair]:
    """Return the pairs of a cell that do not contradict each other: no text under two labels."""
    labels: dict[tuple[str, str], set[Label]] = {}
    for p in cell:
        labels.setdefault((normal(p.claim), normal(p.evidence)), set()).add(p.label)
    return [
        replace(p, balanced=True)
        for p in cell
        if len(labels[normal(p.claim), normal(p.evidence)]) == 1
    ]


# --- what the claim gives away -------------------------------------------------------------------


def claim_only(pairs: Sequence[Pair], *, folds: int = 5, seed: int = 0) -> NDArray[np.float64]:
    """Return out-of-fold P(label | claim alone), shape (n, 3), folds by source text.

    A linear model over words and pairs of words: what styles and trigger words give away.

    Raises:
        InputError: fewer source texts than folds.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    groups = np.array([p.group for p in pairs])
    if len(set(groups)) < folds:
        raise InputError(
            f"{len(set(groups))} source texts are too few for {folds} folds", where="claim-only"
        )
    y = np.array([LABEL_ORDER.index(p.label) for p in pairs])
    # The vocabulary of all claims is no leak: it holds no label.
    x = TfidfVectorizer(
        ngram_range=(1, 2), min_df=min(3, len(pairs)), max_features=40_000, sublinear_tf=True,
        token_pattern=r"(?u)\b\w+\b",
    ).fit_transform([normal(p.claim) for p in pairs])  # fmt: skip
    found = np.full((len(pairs), 3), CHANCE)
    for train, held in GroupKFold(folds, shuffle=True, random_state=seed).split(x, y, groups):
        layer = LogisticRegression(C=2.0, max_iter=100, class_weight="balanced")
        layer.fit(x[train], y[train])
        found[np.ix_(held, layer.classes_)] = layer.predict_proba(x[held])
    return found


def _f1(pairs: Sequence[Pair], p: NDArray[np.float64]) -> float:
    from models.evaluate import macro_f1

    said = [LABEL_ORDER[i] for i in p.argmax(axis=1)]
    return macro_f1([x.label for x in pairs], said)


def filtered(
    made: Sequence[Sequence[Pair]], *, seed: int = 0, rounds: int = 8
) -> tuple[list[list[Pair]], float, float]:
    """Return the cells that are left and the claim-only macro-F1 before and after.

    Each round drops the tenth of the cells whose labels the claim-only model knew best.
    """
    kept = [list(cell) for cell in made]
    first = 1.0
    for turn in range(rounds + 1):
        flat = [p for cell in kept for p in cell]
        p = claim_only(flat, seed=seed + turn)
        score = _f1(flat, p)
        first = score if turn == 0 else first
        LOG.info("claim-only macro-F1 %.3f on %d pairs", score, len(flat))
        if score <= CHANCE + LEAK or turn == rounds:
            return kept, first, score
        truth = np.array([LABEL_ORDER.index(x.label) for x in flat])
        known = p[np.arange(len(flat)), truth]
        ends = np.cumsum([len(cell) for cell in kept])
        means = [float(part.mean()) for part in np.split(known, ends[:-1])]
        edge = float(np.quantile(means, 0.9))
        kept = [cell for cell, mean in zip(kept, means, strict=True) if mean < edge]
    raise AssertionError("unreachable")


def _level(made: Sequence[Sequence[Pair]], size: int, seed: int) -> tuple[list[Pair], int]:
    """Return about ``size`` pairs of whole cells with equally many of each label."""
    r = random.Random(seed)
    order = list(range(len(made)))
    r.shuffle(order)
    flat = [p for i in order for p in made[i]]
    by_label = {label: [p for p in flat if p.label is label] for label in LABEL_ORDER}
    least = min(min(len(v) for v in by_label.values()), -(-size // 3))
    kept = {id(p) for found in by_label.values() for p in found[:least]}
    return [p for p in flat if id(p) in kept], len(flat) - len(kept)


def _compounds(words: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out single syllables: "xác" for a corpse also stands in "xác định", to determine."""
    return [(a, b) for a, b in words if " " in a and " " in b]


def build(
    folder: Path,
    *,
    passages: Sequence[Passage],
    size: int = 30_000,
    seed: int = 0,
    synonyms: Sequence[tuple[str, str]] = (),
    antonyms: Sequence[tuple[str, str]] = (),
) -> Made:
    """Return about ``size`` pairs made from a corpus folder and the reference base.

    Raises:
        InputError: too few articles, or the claim alone gives away more than chance + `LEAK`.
        RecordError: the corpus cannot be read.
    """
    rewriter = Rewriter(seed, synonyms=_compounds(synonyms), antonyms=_compounds(antonyms))
    found = articles(folder, limit=max(60, size // 10), seed=seed)
    made = cells(found, rewriter)
    candidates = sum(map(len, made))
    if candidates < 60:
        raise InputError(
            f"{len(found)} usable articles gave only {candidates} pairs", where=str(folder),
            remedy="give a folder with more running text",
        )  # fmt: skip
    kept, before, after = filtered(made, seed=seed)
    left = sum(map(len, kept))
    if after > CHANCE + LEAK:
        raise InputError(
            f"the claim alone still gives macro-F1 {after:.3f}, more than {CHANCE + LEAK:.3f}",
            where=str(folder),
            remedy="give more and more varied text",
        )
    flat, levelled = _level(kept, size, seed)
    train, held = split(flat)
    own = [replace(p, kind=f"base {p.kind}") for p in pairs_of_passages(passages, rewriter)]
    own_train, own_held = split(own)
    after = _f1([*flat, *own], claim_only([*flat, *own], seed=seed))
    return Made(
        train=(*train, *own_train),
        held_out=(*held, *own_held),
        articles=len(found),
        candidates=candidates,
        dropped_by_filter=candidates - left,
        dropped_for_balance=levelled,
        claim_only_before=before,
        claim_only=after,
    )


def write(out: Path, made: Made, *, seed: int, sources: Sequence[str]) -> dict[str, Any]:
    """Write ``train.jsonl``, ``held_out.jsonl`` and ``construction.json``; return the latter."""
    out.mkdir(parents=True, exist_ok=True)
    for name, pairs in (("train", made.train), ("held_out", made.held_out)):
        with (out / f"{name}.jsonl").open("w", encoding="utf-8") as lines:
            for pair in pairs:
                lines.write(json.dumps(asdict(pair), ensure_ascii=False) + "\n")
    body: dict[str, Any] = {
        "seed": seed,
        "sources": list(sources),
        "articles": made.articles,
        "candidates": made.candidates,
        "dropped_by_filter": made.dropped_by_filter,
        "dropped_for_balance": made.dropped_for_balance,
        "train": len(made.train),
        "held_out": len(made.held_out),
        "claim_only_macro_f1_before_filter": round(made.claim_only_before, 4),
        "claim_only_macro_f1": round(made.claim_only, 4),
        **made.counts(),
    }
    text = json.dumps(body, ensure_ascii=False, indent=1) + "\n"
    (out / "construction.json").write_text(text, encoding="utf-8")
    return body
