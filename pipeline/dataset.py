"""The standing decisions as a data set to train and measure on: `models.reviewed`, `models.splits`.

What leaves: the claim's own words, the wordings of the reference base that were cited or lay before
the reviewer, labels, hashes, weeks, how the claim was selected. What does not: names, notes,
corrections and times of reviewers, the rest of the article, addresses, outlets. Where the page's
owner refuses archiving, quoting or text mining, the claim's words stay as well and its hash stands
for them.

The same store gives the same bytes. One pair is one standing conclusion; the copies that it covers
are counted and not repeated, so that a text that ten outlets print teaches no more than one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kiemchung.domain import Decision, Distortion, Label, digest, sha256_hex
from kiemchung.errors import AccountingError, InputError
from kiemchung.shards import write_bytes_atomically, write_pieces_atomically
from models import datacard, leaks, reviewed, splits
from models.reviewed import ReviewedPair
from nlp import near

if TYPE_CHECKING:
    from kiemchung.estimates import WeekSample
    from kiemchung.store import Store
    from kiemchung.store.conclusions import Conclusions

_NO_LABEL: Final = str(Decision.UNCHECKABLE)
_AROUND: Final = "context.jsonl"
_PIECE: Final = 1000  # pairs written at once


@dataclass(slots=True)
class _Kept:
    """The rows that become pairs, as columns of equal length."""

    columns: dict[str, list[Any]]
    evidence: list[tuple[int, ...]]
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.evidence)

    def __getitem__(self, name: str) -> list[Any]:
        return self.columns[name]


def export_dataset(
    store: Store,
    folder: Path,
    *,
    week: str | None = None,
    until: str | None = None,
    with_text: bool = False,
) -> dict[str, Any]:
    """Write the data set of all standing decisions, of one ``week`` or of those up to ``until``.

    ``with_text`` adds the sentences around each claim, for training in the house, but for pages
    that reserve their words. Returns the manifest.

    Raises:
        InputError: nothing has been concluded, or the folder holds something else.
        AccountingError: two splits share something (nothing is written then), or a sum does not
            match (no manifest is written, so the folder is no data set).
    """
    from kiemchung.store.conclusions import conclusions
    from kiemchung.store.outlook import week_samples

    _check_folder(folder)
    found = conclusions(store)
    kept = _kept(found, week, until)
    if not len(kept):
        raise InputError(
            "no conclusion to export: " + (_told(kept.left_out) or "nobody has concluded yet"),
            remedy="decide at the desk first, or give other weeks",
        )
    texts = near.texts_of(kept["text"], {})
    parted = splits.split(
        kept["week"],
        kept["story"],
        {
            "story": kept["story"],
            "page": kept["page"],
            "claim": kept["claim_id"],
            "words": [format(n, "x") for n in texts.same.tolist()],
        },
        lambda earlier, later: _too_near(texts, earlier, later),
    )
    facts = {
        "chosen": {"week": week, "until": until},
        "with_text": with_text,
        "selection": _selection([s for s in week_samples(store) if _asked(s.week, week, until)]),
    }
    surroundings = _surroundings(store, kept) if with_text else {}
    return _write(folder, found, kept, parted, texts, facts, surroundings)


def _surroundings(store: Store, kept: _Kept) -> dict[str, tuple[str, str]]:
    """Return by pair the sentence before its claim and the one behind; not of pages that refuse."""
    import pyarrow as pa

    from kiemchung.store.conclusions import around
    from nlp.sentences import sentence_spans

    wanted = {
        key: pair
        for key, pair, refused in zip(
            kept["review_key"], kept["pair_id"], kept["refused"], strict=True
        )
        if not refused
    }
    keys = pa.table({"review_key": pa.array(list(wanted), pa.int64())})
    found = {}
    for key, (before, after) in around(store, keys).items():
        left, right = sentence_spans(before)[-1:], sentence_spans(after)[:1]
        found[wanted[key]] = (
            before[slice(*left[0])] if left else "",
            after[slice(*right[0])] if right else "",
        )
    return found


def _asked(given: str, week: str | None, until: str | None) -> bool:
    return week in (None, given) and (until is None or given <= until)


def _selection(samples: Sequence[WeekSample]) -> dict[str, dict[str, int]]:
    """Return by week how many claims were selected, and how many of them are decided."""
    return {
        s.week: {
            "flags": s.flags,
            "flags_decided": s.flags_decided,
            "without_a_flag": s.unflagged,
            "drawn": s.drawn,
            "drawn_decided": s.drawn_decided,
        }
        for s in sorted(samples, key=lambda s: s.week)
    }


def _check_folder(folder: Path) -> None:
    """Refuse a folder with anything but an earlier data set in it; that one is replaced."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError("not a folder", where=str(folder), remedy="give another --dataset")
    known = {reviewed.CARD, reviewed.MANIFEST, _AROUND, *(f"{n}.jsonl" for n in splits.NAMES)}
    strange = sorted(p.name for p in folder.iterdir() if p.name not in known)
    if strange:
        raise InputError(
            f"holds other files: {', '.join(strange[:3])}",
            where=str(folder),
            remedy="give a new folder",
        )


def _told(left_out: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in left_out.items() if n)


def _kept(found: Conclusions, week: str | None, until: str | None) -> _Kept:
    """Return what becomes a pair, and why the other standing conclusions do not."""
    import pyarrow as pa

    table = found.rows
    why: Counter[str] = Counter()
    keep: list[int] = []
    for at, (decision, forgotten, in_week) in enumerate(
        zip(
            table["decision"].to_pylist(),
            table["forgotten"].to_pylist(),
            table["week"].to_pylist(),
            strict=True,
        )
    ):
        if forgotten:
            why["article_withdrawn"] += 1
        elif in_week is None:
            why["in_no_run"] += 1
        elif not _asked(in_week, week, until):
            why["other_week"] += 1
        elif decision == _NO_LABEL:
            why["uncheckable"] += 1
        else:
            keep.append(at)
    rows = pa.array(keep, pa.int64())
    columns = {name: _column(table[name].take(rows)) for name in table.column_names}
    columns["pair_id"] = [digest("pair", m) for m in columns.pop("mention_id")]
    evidence = [found.evidence.get(key, ()) for key in columns["review_key"]]
    names = ("uncheckable", "article_withdrawn", "in_no_run", "other_week")
    return _Kept(columns=columns, evidence=evidence, left_out={n: why[n] for n in names})


def _column(values: Any) -> list[Any]:  # noqa: ANN401  an Arrow column
    """Return a column as a list in which equal words are one object: most are a few, often."""
    import pyarrow as pa

    if not pa.types.is_string(values.type):
        return values.to_pylist()  # type: ignore[no-any-return]
    known: dict[str | None, str | None] = {}
    return [known.setdefault(value, value) for value in values.to_pylist()]


def _too_near(texts: near.Texts, earlier: Any, later: Any) -> Any:  # noqa: ANN401  numpy arrays
    import numpy as np

    _, found, _ = near.near(texts.take(earlier), texts.take(later))
    return later[np.unique(found)]


def _pseudonyms(kept: _Kept) -> dict[int, str]:
    """Return a name for each reviewer that holds in this data set alone.

    The key is made of the rows themselves and of what never leaves the store: the random form
    tokens and the microseconds of the conclusions. So the same rows give the same names, other rows
    give others, and nobody who has only the data set can try names out.
    """
    salt = hashlib.sha256()
    columns = [kept[n] for n in (*_CONTENT, "form_token", "created_us", "account_key")]
    for row in zip(*columns, kept.evidence, strict=True):
        salt.update(repr(row).encode("utf-8", "surrogatepass"))
    key = salt.digest()
    return {
        account: "r-" + hmac.new(key, str(account).encode(), "sha256").hexdigest()[:12]
        for account in set(kept["account_key"])
    }


_CONTENT: Final = (
    "pair_id", "text", "decision", "decision_before_model", "shown_model", "distortions",
    "selected_as", "probability", "claim_id", "story", "week", "as_of", "adjudicated", "refused",
    "model_label", "p_refuted",
)  # fmt: skip


def _pairs(
    found: Conclusions, kept: _Kept, names: dict[int, str], rows: Sequence[int]
) -> Iterator[ReviewedPair]:
    wordings: dict[tuple[int, ...], tuple[str, tuple[str, ...]]] = {}
    for at in rows:
        keys = kept.evidence[at]
        if keys not in wordings:
            said = [found.passages[k] for k in keys]
            wordings[keys] = "\n".join(text for _, text in said), tuple(i for i, _ in said)
        evidence, passages = wordings[keys]
        text: str = kept["text"][at]
        before = kept["decision_before_model"][at]
        yield ReviewedPair(
            pair_id=kept["pair_id"][at],
            claim="" if kept["refused"][at] else text,
            claim_sha256=sha256_hex(text.encode("utf-8", "surrogatepass")),
            evidence=evidence,
            passages=passages,
            label=Label(kept["decision"][at]),
            distortions=tuple(Distortion(d) for d in kept["distortions"][at]),
            reviewer=names[kept["account_key"][at]],
            week=kept["week"][at],
            story=kept["story"][at],
            claim_id=kept["claim_id"][at],
            as_of=kept["as_of"][at],
            selected_as=kept["selected_as"][at],
            probability=kept["probability"][at],
            decision_before_model=before,
            shown_model=kept["shown_model"][at],
            adjudicated=kept["adjudicated"][at],
            model_label=kept["model_label"][at],
            p_refuted=kept["p_refuted"][at],
        )


def _write(
    folder: Path,
    found: Conclusions,
    kept: _Kept,
    parted: splits.Split,
    texts: near.Texts,
    facts: dict[str, Any],
    surroundings: dict[str, tuple[str, str]],
) -> dict[str, Any]:
    conflicts = _check_leaks(kept, parted, texts)
    # By week and id: the order in which somebody worked is nobody's business.
    order = sorted(range(len(kept)), key=lambda i: (kept["week"][i], kept["pair_id"][i]))
    folder.mkdir(parents=True, exist_ok=True)
    for name in (reviewed.MANIFEST, _AROUND):  # an earlier one may have had it
        (folder / name).unlink(missing_ok=True)
    files: dict[str, dict[str, Any]] = {}
    counts = {}
    names = _pseudonyms(kept)
    for number, name in enumerate(splits.NAMES):
        tally = _Tally()
        rows = [i for i in order if parted.of[i] == number]
        sha256 = write_pieces_atomically(
            folder / f"{name}.jsonl", _pieces(tally.each(_pairs(found, kept, names, rows)))
        )
        files[f"{name}.jsonl"] = {"sha256": sha256, "rows": len(rows)}
        counts[name] = tally.as_dict()
    if facts["with_text"]:
        lines = (
            (
                json.dumps({"pair_id": i, "before": a, "after": b}, ensure_ascii=False) + "\n"
            ).encode()
            for i, (a, b) in sorted(surroundings.items())
        )
        sha256 = write_pieces_atomically(folder / _AROUND, lines)
        files[_AROUND] = {"sha256": sha256, "rows": len(surroundings)}
    body = {
        "kind": reviewed.KIND,
        "format": reviewed.FORMAT,
        "version": digest("data set", *(f["sha256"] for f in files.values()))[:16],
        **facts,
        "reviews": found.reviews,
        "states": found.states,
        "left_out": kept.left_out,
        "pairs": len(kept),
        "copies_covered": sum(kept["copies"]),
        "splits": {
            "rule": parted.rule,
            "shares": list(splits.SHARES),
            "weeks": {name: list(ends) for name, ends in parted.weeks.items()},
            "outside": parted.why,
        },
        "counts": counts,
        "conflicts_inside_a_split": conflicts,
        "licence": datacard.LICENCE,
    }
    _check_sums(body)
    card = datacard.card(body).encode("utf-8")
    write_bytes_atomically(folder / reviewed.CARD, card)
    files[reviewed.CARD] = {"sha256": sha256_hex(card)}
    body["files"] = files
    reviewed.write_manifest(folder, body)
    return body


def _check_leaks(kept: _Kept, parted: splits.Split, texts: near.Texts) -> int:
    """Look at the three splits as anybody would who gets them, with the withheld words as well.

    Returns how many rows contradict another one of their own split.

    Raises:
        AccountingError: two splits share something; the rule of `models.splits` has a hole then.
    """
    import numpy as np

    beside = {keys: " ".join(map(str, keys)) for keys in set(kept.evidence)}
    parts = []
    for number, name in enumerate(reviewed.SPLITS):
        rows = [i for i, side in enumerate(parted.of.tolist()) if side == number]
        parts.append(
            leaks.Part(
                name=name,
                where=[kept["pair_id"][i] for i in rows],
                claims=[kept["text"][i] for i in rows],
                evidence=[beside[kept.evidence[i]] for i in rows],
                contexts=[""] * len(rows),
                labels=[kept["decision"][i] for i in rows],
                keys={n: [kept[n][i] for i in rows] for n in ("story", "claim_id")},
                of_a_base=True,
            )
        )
    order = np.argsort(parted.of, kind="stable")
    inside = order[parted.of[order] != splits.OUTSIDE]
    report = leaks.find(parts, claims=texts.take(inside))
    between = {k: n for k, n in report.leaks.items() if n and k != "conflict"}
    if between:
        first = next(iter(between.values()))[0]
        raise AccountingError(
            f"two splits share something: {', '.join(f'{k} {len(n)}' for k, n in between.items())}",
            where=f"pairs {first.where} and {first.other}",
            remedy="a defect of the program: nothing was written",
        )
    return len(report.leaks["conflict"])


def _pieces(pairs: Iterator[ReviewedPair]) -> Iterator[bytes]:
    piece: list[str] = []
    for pair in pairs:
        piece.append(reviewed.line_of(pair))
        if len(piece) >= _PIECE:
            yield "".join(piece).encode("utf-8")
            piece = []
    yield "".join(piece).encode("utf-8")


class _Tally:
    """What was written, counted while it passes."""

    def __init__(self) -> None:
        self._by: dict[str, Counter[str]] = {
            name: Counter() for name in ("label", "selected_as", "week", "reviewer")
        }
        self._of: Counter[str] = Counter()

    def each(self, pairs: Iterator[ReviewedPair]) -> Iterator[ReviewedPair]:
        for pair in pairs:
            for name, into in self._by.items():
                into[str(getattr(pair, name))] += 1
            self._of["pairs"] += 1
            self._of["trainable"] += pair.trainable
            self._of["claim_withheld"] += not pair.claim
            self._of["without_evidence"] += not pair.evidence
            self._of["adjudicated"] += pair.adjudicated
            self._of["decided_after_the_suggestion"] += pair.shown_model
            yield pair

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; of the reviewers only how many there are."""
        names = ("pairs", "trainable", "claim_withheld", "without_evidence", "adjudicated",
                 "decided_after_the_suggestion")  # fmt: skip
        return {
            **{name: self._of[name] for name in names},
            "reviewers": len(self._by["reviewer"]),
            **{
                f"by_{name}": dict(sorted(self._by[name].items()))
                for name in ("label", "selected_as", "week")
            },
        }


def _check_sums(body: dict[str, Any]) -> None:
    """Refuse a data set in which something was dropped in silence."""
    stands = body["states"]["stands"]
    written = sum(c["pairs"] for c in body["counts"].values())
    for name, left, right in (
        ("reviews against their states", body["reviews"], sum(body["states"].values())),
        ("standing ones against pairs and left out", stands,
         sum(body["left_out"].values()) + body["pairs"]),
        ("pairs against the files", body["pairs"], written),
        ("outside against its reasons", body["counts"]["outside"]["pairs"],
         sum(body["splits"]["outside"].values())),
    ):  # fmt: skip
        if left != right:
            raise AccountingError(f"{name}: {left} and {right}", where=json.dumps(body)[:200])
