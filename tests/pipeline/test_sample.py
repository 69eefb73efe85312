"""The sample week and its truth file are a measuring instrument: these tests check the instrument.

They read the files alone and run no part of the program but its scorer's loader, so that a fault
of the program can neither hide nor cause a fault here.
"""

from __future__ import annotations

import json
import re
import tomllib
import unicodedata
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.demo.scoring import NEVER_FLAGGED, TruthRow, load_truth

DEMO = Path(__file__).resolve().parents[2] / "pipeline" / "demo"
OUTLETS = ("song-hong", "dong-xanh", "bien-dong-que", "thuong-truong", "nui-cao", "pho-nho")
DISTORTIONS = (
    "number",
    "date",
    "actor",
    "negation",
    "condition_dropped",
    "exaggeration",
    "merge_split",
    "out_of_context",
    "wrong_source",
    "law_expired",
)
LABELS_OF_KIND: dict[str, set[str | None]] = {
    "true": {"SUPPORTED"},
    **{kind: {"REFUTED"} for kind in DISTORTIONS},
    **{kind: {None} for kind in NEVER_FLAGGED},
    "local": {"NOT_ENOUGH_INFO"},
    "other": {"NOT_ENOUGH_INFO"},
}
AT_LEAST = {
    "true": 45,
    "opinion": 12,
    "criticism": 10,
    "praise": 8,
    "rebuttal": 8,
    "forecast": 6,
    "experience": 6,
    "local": 20,
    "other": 5,
    **dict.fromkeys(DISTORTIONS, 3),
}
FEATURES = {
    "syndicated": ("pho-nho", 4),
    "changed": (None, 1),
    "disallowed": ("nui-cao", 1),
    "wrong_charset_meta": ("thuong-truong", 1),
    "json_ld_newlines": ("nui-cao", 1),
    "no_date": (None, 1),
    "half_page": (None, 1),
}
OLD_FIRST, NEW_EARLY, NEW_FIRST = date(2013, 7, 1), date(2023, 9, 1), date(2024, 7, 1)
SENTENCE_END = (".", "!", "?", ".”", "!”", "?”", "…")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One article file, as written."""

    outlet: str
    slug: str
    title: str
    lead: str
    body: str
    published: datetime
    section: str
    tags: tuple[str, ...]
    captions: tuple[str, ...]
    feature: str | None
    changed_body: str | None

    @property
    def whole(self) -> str:
        return "\n".join((self.title, self.lead, self.body))


def _read(path: Path) -> Text:
    raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    return Text(
        outlet=path.parent.name,
        slug=path.stem,
        title=raw.pop("title"),
        lead=raw.pop("lead"),
        body=raw.pop("body"),
        published=raw.pop("published"),
        section=raw.pop("section"),
        tags=tuple(raw.pop("tags")),
        captions=tuple(raw.pop("captions")),
        feature=raw.pop("feature", None),
        changed_body=raw.pop("changed_body", None),
        **raw,  # an unknown key is a TypeError
    )


TEXTS = {(t.outlet, t.slug): t for t in map(_read, sorted(DEMO.glob("articles/*/*.toml")))}
TRUTH = load_truth()
COPIES = {key for key, text in TEXTS.items() if text.feature == "syndicated"}


def _name(value: Any) -> str:
    return f"{value.outlet}/{value.slug}"


def _written(rows: tuple[TruthRow, ...] = TRUTH) -> list[TruthRow]:
    """Return the rows of articles that are not copies of others."""
    return [row for row in rows if (row.outlet, row.slug) not in COPIES]


def test_every_outlet_has_its_articles() -> None:
    counts = Counter(outlet for outlet, _ in TEXTS)
    assert set(counts) == set(OUTLETS)
    assert sum(counts.values()) >= 52
    assert min(counts.values()) >= 8


@pytest.mark.parametrize("text", TEXTS.values(), ids=_name)
def test_article_is_well_formed(text: Text) -> None:
    assert re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)+", text.slug)
    assert 200 <= len(text.whole.split()) <= 700
    assert date(2022, 1, 1) <= text.published.date() <= date(2026, 9, 30)
    assert text.published.utcoffset() == timedelta(hours=7)
    assert text.section
    assert text.tags
    assert text.title.strip() == text.title != text.lead == text.lead.strip()
    paragraphs = text.body.strip().split("\n\n")
    assert len(paragraphs) >= 4
    assert all(p.strip() == p and "\n" not in p for p in paragraphs)
    # a copy names where it was taken from in a line without a full stop
    last = len(paragraphs) - (text.feature == "syndicated")
    assert all(p.endswith(SENTENCE_END) for p in paragraphs[:last])


@pytest.mark.parametrize("text", TEXTS.values(), ids=_name)
def test_text_is_clean_vietnamese(text: Text) -> None:
    everything = "\n".join((text.whole, text.changed_body or "", *text.tags, *text.captions))
    assert unicodedata.is_normalized("NFC", everything)
    kinds = {unicodedata.category(c) for c in everything if c != "\n"}
    assert not kinds & {"Cf", "Cc", "Co", "Cs"}
    assert "  " not in everything
    assert not set("[]<>{}|*_") & set(everything)
    assert everything.count("“") == everything.count("”")
    words = [w for w in re.findall(r"[^\W\d_]+", text.whole)]
    marked = sum(unicodedata.normalize("NFD", w) != w or "đ" in w.lower() for w in words)
    assert marked / len(words) > 0.5


def test_most_articles_have_captions() -> None:
    assert sum(bool(t.captions) for t in TEXTS.values()) >= 0.8 * len(TEXTS)


@pytest.mark.parametrize("text", TEXTS.values(), ids=_name)
def test_no_person_is_named(text: Text) -> None:
    title = r"(?:[Ôô]ng|[Bb]à|[Aa]nh|[Cc]hị|[Cc]ô|[Cc]hú|[Bb]ác|[Gg]iám đốc|[Cc]hủ tịch)"
    found = [
        m.group()
        for m in re.finditer(rf"\b{title} (\w+)", text.whole)
        if m.group(1)[0].isupper() and m.group(1) not in {"Hội", "HTX", "Hợp", "Ban", "Liên"}
    ]
    assert not found


def test_features() -> None:
    counts = Counter(t.feature for t in TEXTS.values() if t.feature)
    assert counts["off_topic"] >= 5
    assert set(counts) == {*FEATURES, "off_topic"}
    for feature, (outlet, number) in FEATURES.items():
        found = [t for t in TEXTS.values() if t.feature == feature]
        assert len(found) == number, feature
        assert outlet is None or {t.outlet for t in found} == {outlet}


def test_changed_article_keeps_its_title_and_changes_its_body() -> None:
    (changed,) = [t for t in TEXTS.values() if t.feature == "changed"]
    assert changed.changed_body is not None
    before, after = (set(b.split("\n\n")) for b in (changed.body, changed.changed_body))
    assert before & after
    assert before - after
    assert all(t.changed_body is None for t in TEXTS.values() if t is not changed)


def test_no_slug_begins_another_of_its_outlet() -> None:
    for outlet in OUTLETS:
        slugs = sorted(slug for o, slug in TEXTS if o == outlet)
        assert not [(a, b) for a in slugs for b in slugs if a != b and b.startswith(a)], (
            "an address that ends in an id could not be told apart"
        )


def _pieces(text: str) -> set[str]:
    return {s.strip() for s in re.split(r"(?<=[.!?”])\s+", text) if len(s.strip()) > 20}


def test_copies_and_only_copies_share_sentences() -> None:
    pieces = {key: _pieces(text.whole) for key, text in TEXTS.items()}
    for a, of_a in pieces.items():
        shares = {
            b: len(of_a & of_b) / min(len(of_a), len(of_b)) for b, of_b in pieces.items() if b != a
        }
        sources = [b for b, share in shares.items() if share >= 0.5 and b not in COPIES]
        if a in COPIES:
            (source,) = sources
            assert timedelta(0) < TEXTS[a].published - TEXTS[source].published < timedelta(days=8)
            assert TEXTS[a].body != TEXTS[source].body
            assert source[0] != a[0]
        else:
            assert not sources
            assert all(share < 0.1 for b, share in shares.items() if b not in COPIES)


def test_truth_file_holds_the_agreed_fields_in_order() -> None:
    lines = (DEMO / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    fields = ["outlet", "slug", "sentence", "kind", "label", "as_of", "law_pair", "why"]
    assert all(list(json.loads(line)) == fields for line in lines)
    assert len(lines) == len(TRUTH) >= 170


@pytest.mark.parametrize("text", TEXTS.values(), ids=_name)
def test_every_article_has_truth_sentences(text: Text) -> None:
    assert any((row.outlet, row.slug) == (text.outlet, text.slug) for row in TRUTH)


@pytest.mark.parametrize("key", TEXTS, ids="/".join)
def test_truth_sentences_stand_once_and_whole_in_their_article(key: tuple[str, str]) -> None:
    whole = TEXTS[key].whole
    rows = [row for row in TRUTH if (row.outlet, row.slug) == key]
    for row in rows:
        assert whole.count(row.sentence) == 1, row.sentence
        at = whole.index(row.sentence)
        before, after = whole[:at].rstrip(" "), whole[at + len(row.sentence) :]
        assert not before or before.endswith(("\n", *SENTENCE_END)), row.sentence
        assert not after or after[0] in " \n", row.sentence
        headline = row.sentence == TEXTS[key].title
        assert headline or row.sentence.endswith(SENTENCE_END), row.sentence
        assert row.sentence[0] == "“" or row.sentence[0].isupper()


def test_truth_sentences_do_not_overlap() -> None:
    for row in _written():
        others = [r for r in _written() if r is not row and row.sentence in r.sentence]
        assert not others, row.sentence


def test_rows_name_existing_articles() -> None:
    assert {(row.outlet, row.slug) for row in TRUTH} == set(TEXTS)


def test_kinds_and_labels_fit() -> None:
    for row in TRUTH:
        assert row.label in LABELS_OF_KIND[row.kind], row
        assert row.why.strip(), row
        assert date(2013, 7, 1) <= date.fromisoformat(row.as_of) <= date(2026, 9, 30)


@pytest.mark.parametrize(("kind", "number"), AT_LEAST.items())
def test_enough_of_each_kind(kind: str, number: int) -> None:
    assert sum(row.kind == kind for row in _written()) >= number


def test_enough_claims_to_measure_with() -> None:
    labels = Counter(row.label for row in _written())
    assert labels["REFUTED"] >= 35
    assert labels["SUPPORTED"] >= 45
    assert labels["NOT_ENOUGH_INFO"] >= 20


def _stored(row: TruthRow) -> bool:
    feature = TEXTS[row.outlet, row.slug].feature
    return feature not in {"off_topic", "disallowed", "half_page"}


def test_pages_that_are_not_stored_carry_no_refuted_claim() -> None:
    assert all(_stored(row) for row in TRUTH if row.label == "REFUTED" or row.law_pair)


def test_undated_article_rests_on_rules_that_need_no_publication_day() -> None:
    rows = [r for r in TRUTH if TEXTS[r.outlet, r.slug].feature == "no_date"]
    for row in rows:
        if row.label in {"SUPPORTED", "REFUTED"}:
            names_its_law = re.search(r"Luật Hợp tác xã năm (2012|2023)", row.sentence)
            both_rules = "Nghị định 77/2019/NĐ-CP" in row.why and "Luật 17/2023/QH15" in row.why
            assert names_its_law or both_rules, row.sentence


def test_law_pairs() -> None:
    pairs: dict[str, list[TruthRow]] = {}
    for row in TRUTH:
        if row.law_pair:
            pairs.setdefault(row.law_pair, []).append(row)
    assert len(pairs) >= 12
    for name, rows in pairs.items():
        assert sorted(str(r.label) for r in rows) == ["REFUTED", "SUPPORTED"], name
        assert len({(r.outlet, r.slug) for r in rows}) == 2, name
        assert not {(r.outlet, r.slug) for r in rows} & COPIES


def test_every_checkable_row_names_a_document() -> None:
    document = re.compile(
        r"Luật (23/2012/QH13|17/2023/QH15)|Nghị định (45/2021|77/2019|92/2024)/NĐ-CP"
        r"|Nghị quyết 20-NQ/TW|Bộ Kế hoạch và Đầu tư|Liên minh Hợp tác xã Việt Nam"
    )
    for row in TRUTH:
        if row.label in {"SUPPORTED", "REFUTED"} or row.kind == "rebuttal":
            assert document.match(row.why), row


def test_cited_law_was_in_force_on_the_day_of_the_claim() -> None:
    """The rule that decides a claim must have been binding on the day that the claim is about."""
    for row in TRUTH:
        if row.label not in {"SUPPORTED", "REFUTED"}:
            continue
        day = date.fromisoformat(row.as_of)
        if row.why.startswith("Luật 23/2012/QH13") and "; Luật 17/2023/QH15 Điều 4" not in row.why:
            assert OLD_FIRST <= day < NEW_FIRST, row
        elif row.why.startswith("Luật 17/2023/QH15 Điều"):
            early = re.match(r"Luật 17/2023/QH15 Điều (115 khoản 3|114 khoản 2)", row.why)
            assert day >= (NEW_EARLY if early else NEW_FIRST), row


def test_day_of_a_claim_is_its_article_s_unless_the_words_name_another() -> None:
    # a date, a year, a numbered law, or a reference to the day named just before
    own_words = re.compile(r"\d/20\d\d|năm 20\d\d|/QH15|thời điểm ấy|Cũng theo nguồn này")
    for row in TRUTH:
        if row.as_of != TEXTS[row.outlet, row.slug].published.date().isoformat():
            assert own_words.search(row.sentence), row


@pytest.mark.needs_shared
def test_cited_articles_were_read(shared: Path) -> None:
    """Every article cited stands in the codified text or in a fact that was read."""
    codified = json.loads((shared / "reference/cooperative_law_codified.json").read_text("utf-8"))
    facts = json.loads((shared / "reference/facts_read.json").read_text("utf-8"))
    sources = " ".join(entry["source"] for entry in codified)
    read = [f for f in facts if "unverified" not in f["status"]]
    assert any(f["doc"].endswith("23/2012/QH13") and f["article"] == "Điều 3 khoản 1" for f in read)
    for row in TRUTH:
        for number, article in re.findall(
            r"(17/2023/QH15|45/2021/NĐ-CP|77/2019/NĐ-CP|92/2024/NĐ-CP) Điều (\d+)", row.why
        ):
            assert re.search(rf"Điều {article} (?:Luật|Nghị định) số {number}", sources), row.why


@pytest.mark.needs_shared
def test_figures_of_the_statistics_are_those_read(shared: Path) -> None:
    facts = json.loads((shared / "reference/facts_read.json").read_text("utf-8"))
    quotes = " ".join(f["quote"] + f["fact"] for f in facts if f["topic"] == "stats")
    for figure in ("29,378", "125", "71,000", "5.935", "2,036", "33,557", "68,013", "203.4"):
        assert figure in quotes
        assert any(figure in row.why for row in TRUTH), figure
