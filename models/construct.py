"""Constructed pairs: (claim, evidence, label) made from texts whose truth is known.

A sentence of a text is supported by that text; the smallest edit that changes what it says makes it
refuted; a word too much that the text is silent about makes it undecidable. Pairs are made from the
passages of the reference base and from any folder of plain or word-segmented Vietnamese text. They
are constructed, not human, and are called so wherever a figure rests on them.

Every pair names the source text in ``group``: splits are made by group, so that a model is never
measured on a text that it was trained on. The same seed gives the same pairs on every machine.
"""

from __future__ import annotations

import json
import lzma
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kiemchung.domain import Distortion, Label, Passage, digest
from kiemchung.errors import RecordError
from models.adapters.reading import pairs_of
from models.cues import ANTONYMS, NEGATORS, UPPER, any_of, normal
from nlp.sentences import sentence_spans


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A claim, the evidence beside it and the label that follows from how it was made.

    ``kind`` is the edit (a `Distortion` value, or the name of a harmless change), ``group`` the
    source text. ``balanced`` pairs come from a cell in which every claim stands under each label.
    """

    claim: str
    evidence: str
    label: Label
    kind: str
    group: str
    balanced: bool = False


# --- reading texts -------------------------------------------------------------------------------

_BEFORE: Final = re.compile(r"\s+([,.;:!?…%)\]”])")
_AFTER: Final = re.compile(r"([(\[“])\s+")
_QUOTES: Final = re.compile(r'"\s*([^"]*?)\s*"')


def plain(text: str) -> str:
    """Return word-segmented text (``hợp_tác_xã , xã``) as it is written in a newspaper."""
    joined = " ".join(text.replace("_", " ").split())
    joined = _AFTER.sub(r"\1", _BEFORE.sub(r"\1", joined))
    return _QUOTES.sub(r'"\1"', joined)


def corpus_files(folder: Path) -> list[Path]:
    """Return the files of a corpus folder that can be read, by name.

    Raises:
        RecordError: there are none.
    """
    if not folder.is_dir():
        raise RecordError("no such folder", where=str(folder), remedy="give a folder of texts")
    files = sorted(p for p in folder.iterdir() if p.name.endswith((".txt", ".txt.xz", ".jsonl")))
    if not files:
        raise RecordError("no .txt, .txt.xz or .jsonl file here", where=str(folder))
    return files


def read_texts(folder: Path, *, limit: int, seed: int = 0) -> list[str]:
    """Return up to ``limit`` texts of a corpus folder, the same ones for the same seed.

    ``*.txt`` and ``*.txt.xz`` hold texts parted by blank lines, ``*.jsonl`` records with ``body``,
    ``context`` or ``text``. Word-segmented text is put together again.

    Raises:
        RecordError: a line is no JSON record, or the folder holds nothing readable.
    """
    files = corpus_files(folder)
    found: list[str] = []
    share = max(1, -(-limit // len(files)))
    for path in files:
        taken = 0
        for text in _texts_of(path):
            if taken >= share * 3 or len(found) >= limit * 3:
                break
            if 600 <= len(text) <= 12_000:
                found.append(text)
                taken += 1
    random.Random(seed).shuffle(found)
    return found[:limit]


def _texts_of(path: Path) -> Iterator[str]:
    if path.name.endswith(".jsonl"):
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    record = json.loads(line)
                    body = record.get("body") or record.get("context") or record.get("text") or ""
                except (ValueError, AttributeError) as error:
                    raise RecordError(str(error), where=f"{path}:{number}") from error
                yield "\n".join(plain(part) for part in str(body).split("\n") if part.strip())
        return
    for block in blocks(path):
        yield "\n".join(block)


def blocks(path: Path) -> Iterator[list[str]]:
    """Yield the texts of a ``.txt`` or ``.txt.xz`` file, each as its lines, put together again."""
    for block in raw_blocks(path):
        yield [plain(line) for line in block]


def raw_blocks(path: Path) -> Iterator[list[str]]:
    """Yield the texts of a ``.txt`` or ``.txt.xz`` file as its lines stand there."""
    opener = lzma.open if path.name.endswith(".xz") else open
    block: list[str] = []
    with opener(path, "rt", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.strip():
                block.append(line)
            elif block:
                yield block
                block = []
    if block:
        yield block


def read_pairs(path: Path, *, field: str = "evidence") -> list[Pair]:
    """Return the pairs of a JSONL file with ``claim``, ``evidence`` (or ``context``), ``label``.

    ``field`` "context" takes the whole article where a record has both.

    Labels are spelled SUPPORTED/REFUTED/NOT_ENOUGH_INFO, SUPPORTS/REFUTES, NEI or 0/1/2 in the
    order of ViFactCheck; ``group`` may name the source, else the evidence is its own group.

    Raises:
        RecordError: names file and line.
    """

    def pair(_: str, record: dict[str, Any]) -> Pair:
        evidence = str(record.get(field) or record.get("evidence") or record["context"])
        return pair_of(record, evidence, kind=path.stem)

    remedy = 'each line is {"claim": ..., "evidence": ..., "label": ...}'
    return list(pairs_of(path, pair, remedy=remedy))


def pair_of(record: Mapping[str, Any], evidence: str, *, kind: str) -> Pair:
    """Return a record as a pair, beside ``evidence``; ``kind`` where it names none.

    Raises:
        KeyError: it has no claim or no label.
        ValueError: no label of ours.
    """
    return Pair(
        claim=str(record["claim"]),
        evidence=evidence,
        label=label_of(record["label"]),
        kind=str(record.get("kind") or kind),
        group=str(record.get("group") or digest(str(record.get("context", evidence)))),
        balanced=bool(record.get("balanced", False)),
    )


_SPELLINGS: Final = {
    "SUPPORTED": Label.SUPPORTED, "SUPPORTS": Label.SUPPORTED, "SUPPORT": Label.SUPPORTED,
    "0": Label.SUPPORTED, "REFUTED": Label.REFUTED, "REFUTES": Label.REFUTED,
    "REFUTE": Label.REFUTED,
    "1": Label.REFUTED, "NOT_ENOUGH_INFO": Label.NOT_ENOUGH_INFO, "NEI": Label.NOT_ENOUGH_INFO,
    "NOT ENOUGH INFO": Label.NOT_ENOUGH_INFO, "2": Label.NOT_ENOUGH_INFO,
}  # fmt: skip


def label_of(word: object) -> Label:
    """Return the label of a data set's own spelling.

    Raises:
        ValueError: an unknown spelling; guessing an order would swap two classes in silence.
    """
    try:
        return _SPELLINGS[str(word).strip().upper()]
    except KeyError:
        raise ValueError(f"unknown label {word!r}") from None


# --- harmless changes ----------------------------------------------------------------------------

SYNONYMS: Final[tuple[tuple[str, str], ...]] = (
    ("cho biết", "nói"), ("cho biết", "thông tin"), ("hiện nay", "hiện tại"), ("sử dụng", "dùng"),
    ("thực hiện", "triển khai"), ("xây dựng", "thiết lập"), ("tổ chức", "tiến hành"), ("bảo đảm",
    "đảm bảo"),
    ("quan trọng", "trọng yếu"), ("nhiều", "không ít"), ("khoảng", "chừng"), ("nhanh chóng",
    "mau chóng"),
    ("hỗ trợ", "giúp đỡ"), ("hỗ trợ", "trợ giúp"), ("phát hiện", "tìm thấy"), ("tử vong",
    "thiệt mạng"),
    ("bắt đầu", "khởi đầu"), ("kết thúc", "chấm dứt"), ("yêu cầu", "đòi hỏi"), ("đề nghị",
    "đề xuất"),
    ("cùng với", "với"), ("do đó", "vì vậy"), ("vì vậy", "vì thế"), ("tuy nhiên", "nhưng"),
    ("tuy nhiên", "song"),
    ("đồng thời", "cùng lúc đó"), ("bên cạnh đó", "ngoài ra"), ("người dân", "bà con"), ("nâng cao",
    "cải thiện"),
    ("khó khăn", "trở ngại"), ("mong muốn", "hy vọng"), ("đạt được", "đạt"), ("giúp", "góp phần"),
    ("toàn quốc", "cả nước"), ("thành phố", "TP"), ("hợp tác xã", "HTX"), ("ủy ban nhân dân",
    "UBND"),
    ("tham gia", "góp mặt"), ("chia sẻ", "bộc bạch"), ("khẳng định", "nhấn mạnh"), ("theo đó",
    "theo thông tin"),
    ("giảm", "hạ"), ("tăng", "nâng"), ("bằng", "thông qua"), ("nhằm", "để"), ("tại", "ở"),
    ("trong đó", "gồm"),
    ("trước đây", "trước kia"), ("sau đó", "tiếp đó"), ("xảy ra", "diễn ra"), ("ghi nhận", "có"),
    ("phải", "cần"), ("tối thiểu", "ít nhất"), ("tối đa", "nhiều nhất"), ("không quá", "tối đa"),
    ("không vượt quá", "không quá"), ("từ đủ", "đủ"), ("thành lập", "lập"), ("hoạt động",
    "vận hành"),
)  # fmt: skip

_DROPPABLE: Final = any_of(
    "đã", "đang", "cũng", "vừa", "hiện", "thì", "những", "các", "này", "đó", "rất", "vẫn",
    "được biết",
    "theo đó", "bên cạnh đó", "ngoài ra", "tuy nhiên", "đồng thời", "cụ thể", "như vậy",
)  # fmt: skip


class Rewriter:
    """Random edits with a generator of its own; word lists may be widened by the caller."""

    def __init__(
        self,
        seed: int,
        *,
        synonyms: Iterable[tuple[str, str]] = (),
        antonyms: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.random = random.Random(seed)
        self.synonyms = _both_ways([*SYNONYMS, *synonyms])
        self.antonyms = _both_ways([*ANTONYMS, *antonyms])
        self.names: list[str] = []
        self.clauses: list[str] = []

    # harmless

    def harmless(self, text: str) -> str:
        """Return ``text`` said otherwise: shorter, in another order, with other function words."""
        claim = text.strip().rstrip(".;")
        steps: list[tuple[float, Callable[[str], str]]] = [
            (0.30, self.reorder), (0.35, self.shorten), (0.65, self.synonym), (0.5, self.synonym),
            (0.45, self.synonym), (0.4, self.drop_small), (0.25, self.number_format),
            (0.35, self.drop_word), (0.2, self.abbreviate),
        ]  # fmt: skip
        for chance, step in steps:
            if self.random.random() < chance:
                claim = step(claim)
        return _sentence(claim)

    def reorder(self, claim: str) -> str:
        """Move the last comma clause to the front."""
        parts = _comma_parts(claim)
        if not 2 <= len(parts) <= 4 or min(map(len, parts)) < 12:
            return claim
        return ", ".join([parts[-1], *parts[:-1]])

    def shorten(self, claim: str) -> str:
        """Leave out one comma clause."""
        parts = _comma_parts(claim)
        if len(parts) < 2 or len(claim) < 60:
            return claim
        drop = self.random.randrange(len(parts))
        rest = parts[:drop] + parts[drop + 1 :]
        shorter = ", ".join(rest)
        return shorter if len(shorter) >= 40 else claim

    def synonym(self, claim: str) -> str:
        """Put a synonym in the place of one word."""
        return self._swap(claim, self.synonyms) or claim

    def drop_small(self, claim: str) -> str:
        """Leave out one word that carries no fact."""
        hits = list(_DROPPABLE.finditer(normal(claim)))
        if not hits:
            return claim
        hit = self.random.choice(hits)
        return " ".join((claim[: hit.start()] + " " + claim[hit.end() :]).split())

    def drop_word(self, claim: str) -> str:
        """Leave out a short run of plain words, as a hasty summary does; never a negation."""
        words = claim.split()
        if len(words) < 14:
            return claim
        at = self.random.randrange(2, len(words) - 4)
        run = words[at : at + self.random.choice((1, 2))]
        if any(c.isdigit() for c in words[at - 1]):
            return claim  # "8,5 triệu" without its second word is another sum
        risky = any(
            w[0].isupper() or any(c.isdigit() for c in w) or normal(w.strip(",.")) in _BINDING
            for w in run
        )
        return claim if risky else " ".join(words[:at] + words[at + len(run) :])

    def number_format(self, claim: str) -> str:
        """Write one number in another form of the same value."""
        hits = list(
            re.finditer(r"(?<![\d.,/-])(\d{1,3}(?:\.\d{3})+|0\d|\d{1,2})(?![\d.,/%-])", claim)
        )
        if not hits:
            return claim
        hit = self.random.choice(hits)
        written = hit.group(1)
        value = int(written.replace(".", ""))
        if written.startswith("0") and len(written) == 2:
            other = str(value)
        elif value >= 1_000_000 and value % 100_000 == 0:
            other = f"{value / 1_000_000:g} triệu".replace(".", ",")
        elif (
            value < 10
            and hit.start() > 0
            and not claim[: hit.start()].rstrip().endswith(("ngày", "tháng"))
        ):
            other = self.random.choice((f"0{value}", _SMALL[value]))
        else:
            return claim
        return claim[: hit.start()] + other + claim[hit.end() :]

    def abbreviate(self, claim: str) -> str:
        """Write HTX, UBND and the like."""
        for long, short in (("hợp tác xã", "HTX"), ("Hợp tác xã", "HTX"),
                            ("ủy ban nhân dân", "UBND"),
                            ("Ủy ban nhân dân", "UBND"), ("thành phố", "TP")):  # fmt: skip
            if long in claim:
                return claim.replace(long, short)
        return claim

    # distortions

    def number(self, claim: str) -> str | None:
        """Change one number that is no part of a date."""
        hits = [
            m for m in re.finditer(r"(?<![\d.,/:-])\d+(?:[.,]\d+)*(?![\d/:-])", claim)
            if not re.search(r"(?:ngày|tháng|năm|điều|khoản|số)\s*$", claim[: m.start()].lower())
        ]  # fmt: skip
        if not hits:
            return None
        hit = self.random.choice(hits)
        other = self._other_number(hit.group())
        return claim[: hit.start()] + other + claim[hit.end() :]

    def date(self, claim: str) -> str | None:
        """Change one day, month or year."""
        hits = list(
            re.finditer(
                r"\d{1,2}\s?[/-]\s?\d{1,2}(?:[/-]\d{4})?|(?:tháng|năm)\s\d{1,4}|\d{4}", claim
            )
        )
        hits = [h for h in hits if not h.group().isdigit() or 1900 <= int(h.group()) <= 2100]
        if not hits:
            return None
        hit = self.random.choice(hits)
        inner = list(re.finditer(r"\d+", hit.group()))
        part = self.random.choice(inner)
        value = int(part.group())
        if value >= 1000:
            other = value + self.random.choice((-3, -2, -1, 1, 2, 3))
        else:
            top = 12 if "tháng" in hit.group() else 28
            other = self.random.choice([v for v in range(1, top + 1) if v != value])
        changed = hit.group()[: part.start()] + str(other) + hit.group()[part.end() :]
        return claim[: hit.start()] + changed + claim[hit.end() :]

    def actor(self, claim: str) -> str | None:
        """Put another name in the place of a name."""
        hits = list(_NAME.finditer(claim))
        if not hits or not self.names:
            return None
        hit = self.random.choice(hits)
        known = normal(claim)
        for _ in range(8):
            other = self.random.choice(self.names)
            if normal(other) not in known:
                return claim[: hit.start()] + other + claim[hit.end() :]
        return None

    def negation(self, claim: str) -> str | None:
        """Deny what is said, or say what is denied."""
        words = claim.split()
        denied = [
            i
            for i, w in enumerate(words)
            if w.lower() in {"không", "chưa"} and 0 < i < len(words) - 2
        ]
        if denied and self.random.random() < 0.7:
            at = self.random.choice(denied)
            middle = [] if self.random.random() < 0.5 else ["đã"]
            return " ".join(words[:at] + middle + words[at + 1 :])
        spots = [i for i, w in enumerate(words[:-1]) if w.lower() in _VERB_BEFORE and i > 0]
        if not spots:
            return None
        at = self.random.choice(spots)
        word = words[at].lower()
        put = {"đã": ["đã", "không"], "sẽ": ["sẽ", "không"], "đang": ["không"],
               "được": ["không", "được"],
               "là": ["không", "phải", "là"], "có": ["không", "có"], "phải": ["không",
               "phải"]}  # fmt: skip
        return " ".join(words[:at] + put.get(word, ["không", words[at]]) + words[at + 1 :])

    def antonym(self, claim: str) -> str | None:
        """Put the opposite in the place of one word."""
        return self._swap(claim, self.antonyms)

    def exaggerate(self, claim: str) -> str | None:
        """Make a bounded statement absolute."""
        for weak, strong in _EXAGGERATIONS:
            hit = weak.search(normal(claim))
            if hit:
                return claim[: hit.start()] + strong + claim[hit.end() :]
        return None

    def replace_phrase(self, claim: str) -> str | None:
        """Put a phrase of another text where a phrase of the claim stood."""
        words = claim.split()
        if len(words) < 12 or not self.clauses:
            return None
        other = self.random.choice(self.clauses).split()
        size = self.random.choice((2, 3, 4))
        if len(other) < size + 2:
            return None
        at = self.random.randrange(3, len(words) - size)
        start = self.random.randrange(0, len(other) - size)
        return " ".join(words[:at] + other[start : start + size] + words[at + size :])

    # silence

    def add_clause(self, claim: str, clause: str) -> str:
        """Add a clause about which the evidence is silent."""
        clause = clause.strip().rstrip(".")
        clause = clause[:1].lower() + clause[1:] if not _NAME.match(clause) else clause
        joint = self.random.choice(
            (" và ", ", ", " nhằm ", " do ", ", đồng thời ", " vì ", " để ", " khi ", ", ")
        )
        return f"{claim.rstrip('.')}{joint}{clause}."

    def add_inside(self, claim: str, words: Sequence[str]) -> str | None:
        """Add one to four words in the middle, about which the evidence is silent."""
        own = claim.split()
        if len(own) < 8 or len(words) < 2:
            return None
        size = min(len(words), self.random.choice((2, 2, 3, 4, 5)))
        start = self.random.randrange(0, len(words) - size + 1)
        at = self.random.randrange(3, len(own) - 1)
        return " ".join([*own[:at], *words[start : start + size], *own[at:]])

    def _swap(self, claim: str, table: dict[str, tuple[str, ...]]) -> str | None:
        view = normal(claim)
        words = [(m.start(), m.end()) for m in re.finditer(r"\w+", view)]
        options: list[tuple[int, int, str]] = []
        for size in (3, 2, 1):
            for i in range(len(words) - size + 1):
                start, end = words[i][0], words[i + size - 1][1]
                for other in table.get(view[start:end], ()):
                    options.append((start, end, other))
        if not options:
            return None
        start, end, other = self.random.choice(options)
        if claim[start].isupper() and start == 0:
            other = other[:1].upper() + other[1:]
        return claim[:start] + other + claim[end:]

    def _other_number(self, written: str) -> str:
        pick = self.random.random()
        digits = [i for i, c in enumerate(written) if c.isdigit()]
        if len(digits) <= 2 and not {",", "."} & set(written):
            value = int(written)
            moves = [value + d for d in (-10, -5, -3, -2, -1, 1, 2, 3, 5, 10, 20) if value + d > 0]
            other = str(self.random.choice(moves))
            return other.zfill(len(written)) if written.startswith("0") else other
        if pick < 0.15:
            return (
                written + "0"
                if not {",", "."} & set(written)
                else written.replace(",", ".", 1) + "0"
            )
        at = self.random.choice(digits[:2] if pick < 0.7 else digits)
        floor = 1 if at == digits[0] else 0
        new = self.random.choice([d for d in range(floor, 10) if str(d) != written[at]])
        return written[:at] + str(new) + written[at + 1 :]


_BINDING: Final = NEGATORS | {
    "chỉ",
    "trừ",
    "nếu",
    "phải",
    "mọi",
    "tất",
    "cả",
    "toàn",
    "bộ",
    "hơn",
    "dưới",
    "trên",
}
_SMALL: Final = ("không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín")
_VERB_BEFORE: Final = {"đã", "sẽ", "đang", "được", "là", "có", "phải", "cần", "bị"}
_NAME: Final = re.compile(rf"(?<=\s)(?:[{UPPER}][\w&.-]*\s?){{1,4}}(?<!\s)(?=[\s,.)])")
_EXAGGERATIONS: Final = (
    (any_of("một số", "nhiều", "phần lớn", "đa số", "hầu hết", "một phần"), "tất cả"),
    (any_of("khoảng", "gần", "hơn", "trên"), "đúng"),
    (any_of("có thể"), "chắc chắn"),
    (any_of("một trong những", "một trong"), "duy nhất"),
    (any_of("các", "những"), "mọi"),
    (any_of("chỉ"), "không chỉ"),
)


def _both_ways(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    table: dict[str, set[str]] = {}
    for a, b in pairs:
        table.setdefault(normal(a), set()).add(b)
        table.setdefault(normal(b), set()).add(a)
    return {key: tuple(sorted(values)) for key, values in sorted(table.items())}


def _comma_parts(claim: str) -> list[str]:
    return [p.strip() for p in re.split(r",\s+|;\s+|\s[-–]\s", claim) if p.strip()]


def _sentence(claim: str) -> str:
    claim = claim.strip(" ,;")
    return claim[:1].upper() + claim[1:].rstrip(".,; ") + "."


# --- pairs from running text ---------------------------------------------------------------------


def _facts(text: str) -> list[str]:
    spans = sentence_spans(text)
    found = [text[a:b] for a, b in spans]
    return [s for s in found if 9 <= len(s.split()) <= 70 and s[:1].isupper()]


def pairs_of_texts(texts: Sequence[str], rewriter: Rewriter, *, per_text: int = 6) -> list[Pair]:
    """Return about ``per_text`` pairs of each text, balanced over the three labels.

    The evidence is what an annotator would mark (the sentences used, trimmed, sometimes with one
    neighbour) in half of the pairs and the whole text in the other half.
    """
    pairs: list[Pair] = []
    r = rewriter.random
    for text in texts:
        sentences = _facts(text)
        if len(sentences) < 5:
            continue
        group = digest(text)
        rewriter.names.extend(m.group().strip() for s in sentences for m in _NAME.finditer(s))
        rewriter.clauses.extend(
            p for s in sentences for p in _comma_parts(s) if 4 <= len(p.split()) <= 14
        )
        del rewriter.names[:-4000], rewriter.clauses[:-4000]
        for turn in range(per_text):
            label = (Label.SUPPORTED, Label.REFUTED, Label.NOT_ENOUGH_INFO)[turn % 3]
            made = _one(rewriter, sentences, label)
            if made is None:
                continue
            claim, gold, kind = made
            if r.random() < 0.5:
                evidence = text
            else:
                evidence = " ".join(gold)
                if r.random() < 0.5:  # annotators cut and reorder what they mark
                    cut = [_cut(r, g) for g in gold]
                    r.shuffle(cut)
                    if label is not Label.SUPPORTED:
                        evidence = " ".join(cut)
            pairs.append(Pair(claim=claim, evidence=evidence, label=label, kind=kind, group=group))
    return pairs


def _cut(r: random.Random, sentence: str) -> str:
    parts = _comma_parts(sentence)
    if len(parts) < 3 or r.random() < 0.5:
        return sentence
    return ", ".join(parts[1:] if r.random() < 0.5 else parts[:-1])


def _one(
    rewriter: Rewriter, sentences: Sequence[str], label: Label
) -> tuple[str, list[str], str] | None:
    r = rewriter.random
    at = r.randrange(len(sentences))
    gold = [sentences[at]]
    claim = rewriter.harmless(sentences[at])
    if r.random() < 0.3 and at + 1 < len(sentences) and len(sentences[at + 1].split()) <= 35:
        gold.append(sentences[at + 1])
        second = rewriter.harmless(sentences[at + 1])
        joint = r.choice((", ", " và ", ", đồng thời ", "; "))
        claim = _sentence(claim.rstrip(".") + joint + second[:1].lower() + second[1:])
    if len(claim.split()) > 75:
        return None
    if label is Label.SUPPORTED:
        return claim, gold, "same"
    if label is Label.REFUTED:
        kinds: list[tuple[str, float, Callable[[str], str | None]]] = [
            (Distortion.NUMBER, 3.0, rewriter.number), (Distortion.DATE, 1.2, rewriter.date),
            (Distortion.ACTOR, 2.2, rewriter.actor), (Distortion.NEGATION, 3.0, rewriter.negation),
            (Distortion.NEGATION, 1.8, rewriter.antonym),
            (Distortion.EXAGGERATION, 0.8, rewriter.exaggerate),
            ("phrase", 1.0, rewriter.replace_phrase),
        ]  # fmt: skip
        for _ in range(5):
            kind, _, edit = r.choices(kinds, weights=[w for _, w, _ in kinds])[0]
            wrong = edit(claim)
            if wrong and normal(wrong) != normal(claim) and _fresh(wrong, claim, gold):
                return _sentence(wrong), gold, str(kind)
        return None
    others = [s for i, s in enumerate(sentences) if abs(i - at) > 1]
    pick = r.random()
    if pick < 0.18:  # another sentence of the same text, about the same people and things
        other = r.choice(others)
        return rewriter.harmless(other), gold, "silent"
    foreign = rewriter.clauses
    source = r.choice(foreign) if foreign else r.choice(others)
    if pick < 0.62:
        return _sentence(rewriter.add_clause(claim, source)), gold, "added clause"
    inside = rewriter.add_inside(claim, source.split())
    return (_sentence(inside), gold, "added words") if inside else None


def _fresh(wrong: str, claim: str, gold: Sequence[str]) -> bool:
    """Whether the edit left something that the evidence does not say in these words."""
    told = normal(" ".join(gold))
    return normal(wrong).rstrip(".") not in told


# --- pairs from passages -------------------------------------------------------------------------

_UNIVERSAL_HEADS: Final = ("Mọi trường hợp, ", "Trong mọi trường hợp, ", "Không có ngoại lệ, ")


def pairs_of_passages(passages: Sequence[Passage], rewriter: Rewriter) -> list[Pair]:
    """Return pairs made from the reference base: true wordings, the ten distortions, silence.

    A version that was superseded refutes its successor and the reverse (`LAW_EXPIRED`); a passage
    of the same document about another rule is silent. ``group`` is the passage's topic, so that
    the versions of a rule never stand on both sides of a split.
    """
    pairs: list[Pair] = []
    by_id = {p.passage_id: p for p in passages}
    for i, passage in enumerate(passages):
        group = f"topic:{passage.topic}"

        def add(
            claim: str | None, label: Label, kind: str, p: Passage = passage, g: str = group
        ) -> None:
            if claim and (label is Label.SUPPORTED or normal(claim) != normal(p.text)):
                pairs.append(
                    Pair(claim=_sentence(claim), evidence=p.text, label=label, kind=kind, group=g)
                )

        for _ in range(3):
            add(rewriter.harmless(passage.text), Label.SUPPORTED, "same")
        add(rewriter.number(passage.text), Label.REFUTED, Distortion.NUMBER)
        add(rewriter.date(passage.text), Label.REFUTED, Distortion.DATE)
        add(rewriter.negation(passage.text), Label.REFUTED, Distortion.NEGATION)
        add(rewriter.antonym(passage.text), Label.REFUTED, Distortion.NEGATION)
        add(rewriter.exaggerate(passage.text), Label.REFUTED, Distortion.EXAGGERATION)
        if passage.conditions:
            add(
                _without(passage.text, passage.conditions, rewriter.random),
                Label.REFUTED,
                Distortion.CONDITION_DROPPED,
            )
        earlier = by_id.get(passage.supersedes)
        if earlier is not None and normal(earlier.text) != normal(passage.text):
            add(earlier.text, Label.REFUTED, Distortion.LAW_EXPIRED)
            add(passage.text, Label.REFUTED, Distortion.LAW_EXPIRED, earlier)
        others = [q for q in passages[max(0, i - 6) : i + 7] if q.topic != passage.topic]
        for other in rewriter.random.sample(others, min(2, len(others))):
            add(rewriter.harmless(other.text), Label.NOT_ENOUGH_INFO, "silent")
        if rewriter.clauses:
            source = rewriter.random.choice(rewriter.clauses)
            add(rewriter.add_clause(passage.text, source), Label.NOT_ENOUGH_INFO, "added clause")
    return pairs


def _without(text: str, conditions: Sequence[str], r: random.Random) -> str | None:
    view = normal(text)
    for phrase in conditions:
        at = view.find(normal(phrase))
        if at >= 0:
            rest = (text[:at] + text[at + len(phrase) :]).replace("  ", " ").strip(" ,")
            return r.choice(_UNIVERSAL_HEADS) + rest[:1].lower() + rest[1:]
    return None


# --- writing and splitting -----------------------------------------------------------------------


def balanced(pairs: Sequence[Pair], seed: int) -> list[Pair]:
    """Return ``pairs`` cut to the same number of each label, in a random but repeatable order."""
    by_label: dict[Label, list[Pair]] = {}
    for pair in pairs:
        by_label.setdefault(pair.label, []).append(pair)
    least = min((len(found) for found in by_label.values()), default=0)
    r = random.Random(seed)
    kept = [p for label in sorted(by_label) for p in r.sample(by_label[label], least)]
    r.shuffle(kept)
    return kept


def split(pairs: Sequence[Pair], *, share: float = 0.2) -> tuple[list[Pair], list[Pair]]:
    """Return (train, held out) with every group on one side only, by the hash of its name."""
    edge = int(share * 0x10000)
    out = [int(digest("split", p.group)[:4], 16) < edge for p in pairs]
    return (
        [p for p, held in zip(pairs, out, strict=True) if not held],
        [p for p, held in zip(pairs, out, strict=True) if held],
    )
