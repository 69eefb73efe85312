"""Inputs that nobody would write: our own pages, texts and files, changed at random.

Every input is made of a seed and its number alone, so one that finds a fault can be had again.
A surface is one thing that reads what strangers write; its ``check`` raises where the program does
anything but answer or refuse with an error of its own. benchmarks/fuzz.py runs them by the million,
tests/pipeline/test_fuzz.py by the thousand.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
import time
import traceback
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from crawler.decode import decode
from crawler.extract import extract_page
from crawler.feeds import parse_listing, parse_xml
from crawler.isolate import page_from_json, page_to_json
from crawler.outlets import SHIPPED, Outlet, load_outlets, read_outlet
from kiemchung.domain import Document, Passage
from kiemchung.errors import KiemchungError
from kiemchung.reference import loader
from nlp.claims import detect
from nlp.dates import date_values
from nlp.legal import legal_refs
from nlp.quantities import compare, extract
from nlp.sentences import sentence_spans
from nlp.structure import attribution, claim_kind, parts, resolve
from nlp.text import canonical, fold, is_undiacritised, neutralise_controls, old_style, skeleton
from nlp.timing import claim_day
from nlp.words import word_spans
from pipeline.records import parse_line, to_json

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
URL = "https://bao-que.vn/bai-1.htm"
SECONDS = 1.5
"""A small input may take this much of the processor ..."""
SECONDS_EACH = 2e-4
"""... and this much more for each of its characters: linear, whatever is in it."""

PIECES = (
    "Hợp tác xã", "h.ợ.p t.á.c x.ã", "HTX", "5 thành viên", "30%", "1,2 tỷ đồng", "65,4%", "3.600 tỷ",
    "ngày 1/7/2024", "31/2/2023", "quý IV/2024", "năm 0", "tháng 13/9999", "6 tháng đầu năm", "từ 7 đến 5",
    "Điều 9 Luật Hợp tác xã 2023", "khoản 2 Điều 61", "Nghị định 113/2024/NĐ-CP", "luật này", "hai phần ba",
    "1/0", "9/8 thành viên", "gấp rưỡi", "hai triệu tư", "hàng chục nghìn tỷ đồng", "một trăm linh năm hộ",
    "không quá", "ít nhất", "trở lên", "hôm qua", "kể từ", "\u200b", "\ufeff", "\u202e", "&nbsp;", "&amp;",
    "&#7907;", "&#0;", "&#x110000;", "&notit;", "\ud800", "\udfff", "\x00", "\x85", "\u00a0", "\r\n", "\n", "\r",
    ". ", "! ", "?!…", "“", "”", "«", "(", ")", "Ð", "х", "ｈｔｘ", "😂", "👩‍👩‍👧", "a\u0301\u0323", "\u0301" * 9,
    "\u1100\u1161\u11a8", "\u0958", "\u2126", "ﷺ", "İ", "ß", "²", "٣", "Ⅷ", "½", "௧", "\U0001d7d8", "\ue000",
    "9" * 60, "1." * 30, "a1." * 20, "-" * 40, " " * 60, "http://a.a/", "a@b.vn", "<s>", "</s>", "<mask>", "'", '"',
)  # fmt: skip
MARKUP = (
    "<p>", "</p>", "<div", "</div>", "<script>", "</script>", "<!--", "-->", "<![CDATA[", "]]>", "<br/>", "<h1>", "<",
    ">", "<table><tr><td>", '<meta charset="utf-16">', '<meta charset="windows-1258">', '<meta charset="x-user">',
    '<link rel="canonical" href="http://[">', '<a href="http://[::1">x</a>', '<a href="//:99999/">', "<base href='//'>",
    '<meta property="article:published_time" content="9999-99-99T25:61">', '<time datetime="0000-00-00">',
    '<script type="application/ld+json">{"@type":"NewsArticle","datePublished":[[]],"author":{"name":5}}</script>',
    '<script type="application/ld+json">[[[{"@graph":null}]]]</script>', '<meta name="robots" content="noai, x">',
    '<a rel="next" href="http://[bad">', "<template>", "<svg><foreignObject>", "<frameset>", "<noscript>", "&#0;", "<?xml?>",
    f"<script type=\"application/ld+json\">{'[' * 3000}</script>", f"<script type=\"application/ld+json\">{{\"a\":{'9' * 5000}}}</script>",
    "<!DOCTYPE x [<!ENTITY a '&a;'>]>", "&a;", "<item>", "</item>", "<entry>", "<loc>http://[</loc>", "<pubDate>",
    "<pubDate>Thu, 32 Foo 99999 99:99:99 +9999</pubDate>", "<lastmod>2026-02-30T24:00:00+24:00</lastmod>", "<url>",
    "<link>", '<link href="http://a:b:c/"/>', "<rss>", "<feed xmlns='x'>", "<sitemap>",
)  # fmt: skip
CODECS = ("utf-8", "utf-8", "utf-16", "utf-16-be", "utf-32", "cp1258", "cp1252", "latin-1", "utf-7", "gb18030")  # fmt: skip
TYPES = (
    None, "", "text/html", "text/html; charset=utf-8", "text/html; charset=windows-1258", "text/html; charset=utf-7",
    "text/html; charset=idna", "text/html; charset=\x00", "application/pdf", "text/html; charset=unicode_escape",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 10**400, float("inf"), "", " ", "x", "\ud800", "1/7/2024", "2024-02-30", "0001-01-01",
    "9999-12-31", [], [[]], {}, {"a": {}}, ["a", 1], [["a"]], [[""]], "statute", "statistic", "http://[",
)  # fmt: skip
TOML_VALUES = (
    "1", "-1", "1e400", "nan", "inf", "true", '""', '"x"', "[]", "[[]]", "[1]", '[""]', "{}", "{a=1}", "2026-10-01",
    "07:00:00", '"\\u0000"', '"{year"', '"{year[0]}"', '"{year.real}"', '"{query!r:>99}"', '"{0}"', '"/{month:99999999999}"', '"(a"', '"a{9999999999}"',
    '"a::b"', '":not("', '"[x=]"', '"Asia/Nowhere"', '"../../etc"', '"http://["', '"/x"', '"vccorp"', "'''", "[" * 3000,
    "99999999999999999999999", '["a", "b"]', '["http://a:b"]', '{title = "h1"}', '"bao-que.vn"',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Corpus:
    """What the inputs are made of; all of it is in the repository."""

    pages: tuple[bytes, ...]
    texts: tuple[str, ...]
    outlets: tuple[str, ...]
    documents: tuple[str, ...]
    passages: tuple[str, ...]
    feeds: tuple[bytes, ...]


def corpus() -> Corpus:
    """Read our own pages, texts, outlet files, reference base and feeds."""
    data, demo = ROOT / "tests" / "data", ROOT / "pipeline" / "demo"
    pages = [*(data / "pages").glob("*.html"), *(demo / "templates").glob("*.html")]
    written = [*data.rglob("*.txt"), *data.glob("*.jsonl"), *(demo / "articles").rglob("*.*")]
    lines = {
        line.strip()
        for path in written
        for line in path.read_text(encoding="utf-8").splitlines()
        if 20 < len(line) < 500
    }
    base = loader.SHIPPED
    return Corpus(
        pages=tuple(p.read_bytes() for p in sorted(pages)),
        texts=tuple(sorted(lines)),
        outlets=tuple(p.read_text(encoding="utf-8") for p in sorted(SHIPPED.glob("*.toml"))),
        documents=tuple((base / loader.DOCUMENTS).read_text(encoding="utf-8").splitlines()),
        passages=tuple((base / loader.PASSAGES).read_text(encoding="utf-8").splitlines()),
        feeds=tuple(p.read_bytes() for p in sorted((demo / "templates").glob("*.xml"))),
    )


# -- changes -----------------------------------------------------------------------------------


def changed_text(draw: random.Random, text: str, pieces: Iterable[str] = PIECES) -> str:
    """Return ``text`` after one to six changes of letters, words and pieces."""
    known = tuple(pieces)
    for _ in range(draw.randint(1, 6)):
        at, end = sorted((draw.randint(0, len(text)), draw.randint(0, len(text))))
        end = min(end, at + 40)
        match draw.randrange(9):
            case 0 | 1 | 2:
                text = text[:at] + draw.choice(known) + text[at:]
            case 3:
                text = text[:at] + text[end:]
            case 4:
                text = text[:end] + text[at:end] * draw.choice((1, 1, 2, 9)) + text[end:]
            case 5:
                text = text[:at] + draw.choice(known) + text[end:]
            case 6:
                text = text[:at] + unicodedata.normalize("NFD", text[at:end]) + text[end:]
            case 7:
                text = text[:at] + text[at:end].swapcase() + text[end:]
            case _:
                text = text[:at] + chr(draw.choice((draw.randrange(0x250), draw.randrange(0x110000)))) + text[at:]  # fmt: skip
    return text


def changed_bytes(draw: random.Random, data: bytes) -> bytes:
    """Return ``data`` after one to four changes that know nothing of what it is."""
    for _ in range(draw.randint(1, 4)):
        at, end = sorted((draw.randint(0, len(data)), draw.randint(0, len(data))))
        end = min(end, at + 64)
        match draw.randrange(6):
            case 0:
                data = data[:at] + draw.randbytes(draw.randint(1, 8)) + data[at:]
            case 1:
                data = data[:at] + data[end:]
            case 2:
                data = data[:end] + data[at:end] * draw.randint(1, 5) + data[end:]
            case 3 if data:
                place = draw.randrange(len(data))
                flipped = data[place] ^ 1 << draw.randrange(8)
                data = data[:place] + bytes((flipped,)) + data[place + 1 :]
            case 4:
                data = data[:at]
            case _:
                data = data[:at] + draw.choice((b"\x00", b"\xff", b"\xc3", b"<", b"&")) + data[at:]
    return data


def changed_record(draw: random.Random, line: str) -> str:
    """Return one line of JSON with other fields, values or none of its form."""
    if draw.random() < 0.25:
        return changed_text(draw, line, (*PIECES, "{", "}", "[", "]", ":", ",", "\\u00", "1e999"))
    row = json.loads(line)
    for _ in range(draw.randint(1, 3)):
        key = draw.choice(sorted(row) or ["id"])
        match draw.randrange(6):
            case 0:
                row.pop(key, None)
            case 1 | 2 | 3:
                row[key] = draw.choice(VALUES)
            case 4:
                row[draw.choice(("more", "", "id", key.upper()))] = draw.choice(VALUES)
            case _:
                row[key] = changed_text(draw, str(row.get(key, "")))
    text = json.dumps(row, ensure_ascii=draw.random() < 0.3)
    match draw.randrange(12):
        case 0:
            return "[" * draw.choice((9, 3000)) + text
        case 1:
            return text.replace(": ", ': {"a":' * 2000, 1)
        case 2:
            return text[:-1] + ', "id": ' + "9" * draw.choice((20, 6000)) + "}"
        case 3:
            return text[:-1] + f', "{draw.choice(sorted(row) or ["a"])}": ""' + "}"
    return text


def changed_toml(draw: random.Random, text: str) -> str:
    """Return an outlet file in which some keys have other values, or are not there."""
    lines = text.splitlines()
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(lines)) if lines else 0
        key, sign, _ = lines[at].partition(" = ") if lines else ("", "", "")
        match draw.randrange(7):
            case 0 | 1 | 2 if sign:
                lines[at] = f"{key} = {draw.choice(TOML_VALUES)}"
            case 3 if lines:
                del lines[at]
            case 4:
                name = draw.choice(Outlet.__slots__)  # type: ignore[attr-defined]
                lines.insert(draw.randint(0, len(lines)), f"{name} = {draw.choice(TOML_VALUES)}")
            case 5:
                lines.insert(
                    at, draw.choice(("[selectors]", "[expect]", "[[hosts]]", "x", "[a.b]"))
                )
            case _ if lines:
                lines[at] = changed_text(draw, lines[at], (*PIECES, "=", "[", '"', "{", "#"))
    return "\n".join(lines)


# -- surfaces ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Surface:
    """One reader: how often it is asked, what it is given, and what must hold of the answer."""

    share: int
    make: Callable[[random.Random, Corpus], Any]
    check: Callable[[Any], None]


def _make_text(draw: random.Random, given: Corpus) -> str:
    kind = draw.random()
    if kind < 0.1:
        return "".join(draw.choice(PIECES) for _ in range(draw.randint(0, 25)))
    if kind < 0.15:
        return "".join(chr(draw.randrange(0x110000)) for _ in range(draw.randint(0, 80)))
    text = draw.choice(given.texts)
    if kind > 0.8:
        text += draw.choice(("\n", " ")) + draw.choice(given.texts)
    return changed_text(draw, text)


def check_canonical(raw: str) -> None:
    """The canonical text and its views lead back, and cleaning twice is cleaning once."""
    clean = canonical(raw)
    assert canonical(clean.text, unescape=False).text == clean.text, "not idempotent"
    clean.text.encode("utf-8")
    last = 0
    for i in range(len(clean.text)):
        start, end = clean.to_source(i, i + 1)
        assert 0 <= start < end <= len(raw), "outside of the source"
        assert start >= last, "out of order"
        last = start
    view = skeleton(clean.text)
    for i in range(len(view.text)):
        start, end = view.to_source(i, i + 1)
        assert 0 <= start < end <= len(clean.text), "view outside of the text"
    assert len(old_style(clean.text)) == len(clean.text)
    fold(clean.text)
    is_undiacritised(clean.text)
    quiet = neutralise_controls(clean.text)
    assert neutralise_controls(quiet) == quiet


def _leads_back(raw: str, clean: Any, start: int, end: int) -> None:
    first, last = clean.to_source(start, end)
    assert 0 <= first < last <= len(raw), "outside of the source"
    assert clean.text[start:end] in canonical(raw[first:last]).text, "the source reads otherwise"


def check_sentences(raw: str) -> None:
    """Every visible letter is in one sentence and one word, in the source as well."""
    clean = canonical(raw)
    spans = sentence_spans(clean.text)
    seen = Counter(i for a, b in spans for i in range(a, b))
    for i, letter in enumerate(clean.text):
        assert seen[i] == 1 or (letter.isspace() and seen[i] <= 1), "a letter is lost or doubled"
    words = word_spans([clean.text[a:b] for a, b in spans])
    for (start, end), found in zip(spans, words, strict=True):
        _leads_back(raw, clean, start, end)
        at = start
        for a, b in found:
            assert a < b, "an empty word"
            assert not clean.text[at : start + a].strip(), "a letter between words is lost"
            at = start + b
        assert not clean.text[at:end].strip(), "letters behind the last word"


def check_grammar(raw: str) -> None:
    """Quantities, dates and references stand where they say, apart, and can be compared."""
    clean = canonical(raw)
    found = extract(clean.text, published=date(2025, 3, 1))
    every = (*found.quantities, *found.dates, *found.legal_refs)
    for item in every:
        assert clean.text[item.start : item.end] == item.text, "another text than at its place"
        _leads_back(raw, clean, item.start, item.end)
    places = sorted((x.start, x.end) for x in every)
    for (_, end), (start, _) in pairwise(places):
        assert end <= start, "two of them overlap"
    for one in found.quantities[:4]:
        for other in found.quantities[:4]:
            compare(one, other)
    for one in found.quantities:
        assert one.value.is_finite()
        assert one.upper is None or one.upper > one.value
    date_values(clean.text)
    legal_refs(clean.text)


def check_claims(raw: str) -> None:
    """Every claim stands at its place, with a kind, a speaker, parts and a day."""
    clean = canonical(raw)
    claims = detect(clean.text)
    documents = _base().documents
    for place, claim in enumerate(claims):
        assert clean.text[claim.start : claim.end] == claim.text
        assert 0.0 <= claim.check_worthiness <= 1.0
        _leads_back(raw, clean, claim.start, claim.end)
        before = [c.text for c in claims[:place]]
        said = attribution(claim.text)
        inside = [*parts(claim.text), *resolve(claim.text, before), *([said] if said else [])]
        for part in inside:
            assert 0 <= part.start <= part.end <= len(claim.text), "a part outside of its claim"
        claim_kind(claim.text)
        claim_day(claim.text, published=date(2025, 3, 1), documents=documents)


_held: list[Any] = []


def _base() -> Any:
    if not _held:
        _held.append(loader.load())
    return _held[0]


_Sent = tuple[bytes, str | None]


def _make_page(draw: random.Random, given: Corpus) -> _Sent:
    page = draw.choice(given.pages)
    kind = draw.random()
    if kind < 0.6:
        text = changed_text(draw, page.decode("utf-8", "replace"), (*MARKUP, *MARKUP, *PIECES))
        page = text.encode(draw.choice(CODECS), "replace")
    if kind > 0.5:
        page = changed_bytes(draw, page)
    return page, draw.choice(TYPES)


def check_decode(given: _Sent) -> None:
    """Bytes are text without a surrogate or a NUL, or refused by name."""
    found = decode(given[0], content_type=given[1])
    found.text.encode("utf-8")
    assert "\x00" not in found.text


def check_page(given: _Sent) -> None:
    """A page survives the way from the child process to its parent as it is."""
    found = extract_page(given[0], url=URL, content_type=given[1], fetched_at=NOW, outlet=OUTLET)
    again = page_from_json(json.loads(json.dumps(page_to_json(found))))
    assert again == found
    for text in (found.title, found.lead, found.body):
        text.encode("utf-8")


OUTLET = load_outlets()["song-hong"]


def _make_feed(draw: random.Random, given: Corpus) -> bytes:
    feed = FEED if draw.random() < 0.5 else draw.choice(given.feeds)
    text = changed_text(draw, feed.decode("utf-8"), (*MARKUP, *MARKUP, *PIECES))
    data = text.encode(draw.choice(CODECS), "replace")
    return changed_bytes(draw, data) if draw.random() < 0.4 else data


FEED = (
    '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>Hợp tác xã</title>'
    "<item><title>Một</title><link>http://song-hong.example/bai-1.html</link>"
    "<pubDate>Thu, 01 Oct 2026 08:00:00 +0700</pubDate></item><item><guid>12</guid>"
    "<link>/bai-2.html</link><pubDate>2026-09-30T08:00:00+07:00</pubDate></item></channel></rss>"
).encode()


def check_feed(body: bytes) -> None:
    """A list gives addresses and dates that are never in the future, or is refused by name."""
    found = parse_xml(body, base="http://song-hong.example/", fetched=NOW)
    for entry in found.entries:
        assert entry.published is None or entry.published.tzinfo is not None
        assert (entry.published is None) == bool(entry.date_reason)


def _make_listing(draw: random.Random, given: Corpus) -> bytes:
    links = (
        *MARKUP,
        '<a href="',
        '">',
        "http://song-hong.example/",
        "[",
        "]",
        ":",
        "//",
        "\\",
        "%",
    )
    return changed_text(draw, LISTING, links).encode("utf-8", "replace")


LISTING = '<html><body><a href="/bai-1.html">x</a><a rel="next" href="?p=2">2</a></body></html>'


def check_listing(body: bytes) -> None:
    """Links of a listing are the outlet's own http addresses."""
    for entry in parse_listing(body, base="http://song-hong.example/", outlet=OUTLET).entries:
        assert OUTLET.owns(entry.url)


def check_outlet(text: str) -> None:
    """An outlet file is an outlet whose methods answer, or refused by file and key."""
    path = Path(tempfile.gettempdir()) / f"kiemchung-fuzz-{_NAME}.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        outlet = read_outlet(path)
    finally:
        path.unlink()
    assert outlet.sitemaps_of(date(2026, 10, 1)) is not None
    outlet.is_article(URL)
    outlet.article_number(URL)
    outlet.searches()
    assert str(outlet.zone)


_NAME = f"{random.SystemRandom().randrange(10**9)}"


def _make_base(draw: random.Random, given: Corpus) -> tuple[str, str]:
    documents = [draw.choice(given.documents) for _ in range(2)]
    passages = [draw.choice(given.passages) for _ in range(3)]
    chosen = documents if draw.random() < 0.4 else passages
    chosen[0] = changed_record(draw, chosen[0])
    return "\n".join(documents), "\n".join(passages)


def check_base(given: tuple[str, str]) -> None:
    """A base is read, or every problem names file and line; the two ways to ask agree."""
    documents, passages = (g.encode("utf-8", "surrogatepass") for g in given)
    for problem in loader.check_texts(documents, passages, Path("base")):
        assert re.match(r"base/\w+\.jsonl(:\d+)?\Z", problem.where), problem.where
    for lines, kind in ((documents, Document), (passages, Passage)):
        for line in lines.split(b"\n"):
            with suppress(ValueError):  # its documented refusal, named above by file and line
                loader.parse_record(line, kind)  # type: ignore[type-var]


def _make_record(draw: random.Random, given: Corpus) -> str:
    row = {"id": draw.choice(("1", 7)), "text": draw.choice(given.texts), "date": "2025-03-01"}
    return changed_record(draw, json.dumps(row, ensure_ascii=False))


def check_record(line: str) -> None:
    """A record is three texts, which can be written again, or is refused by its line."""
    found = parse_line(line, "f:1", ("id", "text", "date"))
    assert all(isinstance(v, str) for v in found.values())
    assert json.loads(to_json(found).encode("utf-8")) == found


SURFACES: dict[str, Surface] = {
    "text": Surface(22, _make_text, check_canonical),
    "sentences": Surface(10, _make_text, check_sentences),
    "grammar": Surface(18, _make_text, check_grammar),
    "claims": Surface(8, _make_text, check_claims),
    "decode": Surface(10, _make_page, check_decode),
    "page": Surface(1, _make_page, check_page),
    "feed": Surface(10, _make_feed, check_feed),
    "listing": Surface(6, _make_listing, check_listing),
    "outlet": Surface(5, lambda d, c: changed_toml(d, d.choice(c.outlets)), check_outlet),
    "base": Surface(4, _make_base, check_base),
    "record": Surface(6, _make_record, check_record),
}


# -- running -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Outcome:
    """What a run of inputs came to; ``faults`` are those of one kind and place, once each."""

    inputs: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    slowest: dict[str, float] = field(default_factory=dict)


def one(number: int, seed: int, given: Corpus, only: tuple[str, ...] = ()) -> tuple[str, Any]:
    """Return the surface and the input of ``number``."""
    draw = random.Random(f"{seed}:{number}")
    names = [n for n in SURFACES if not only or n in only]
    (name,) = draw.choices(names, [SURFACES[n].share for n in names])
    return name, SURFACES[name].make(draw, given)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes) else sum(_size(v) for v in value or ())


def _cost(name: str, value: Any) -> tuple[float, BaseException | None]:
    begun = time.thread_time()
    error: BaseException | None = None
    try:
        SURFACES[name].check(value)
    except Exception as found:  # noqa: BLE001  what is not expected is the finding
        error = found
    return time.thread_time() - begun, error


def run(
    numbers: Iterable[int], seed: int, *, only: tuple[str, ...] = (), until: float = float("inf")
) -> Outcome:
    """Check the inputs of ``numbers``; stop before the end where ``until`` (monotonic) passes."""
    given, outcome = corpus(), Outcome()
    for number in numbers:
        if time.monotonic() > until:
            break
        name, value = one(number, seed, given, only)
        seconds, error = _cost(name, value)
        outcome.inputs[name] += 1
        outcome.seconds[name] += seconds  # type: ignore[assignment]
        if isinstance(error, KiemchungError):
            outcome.refused[name] += 1
            assert str(error)
        elif error is not None:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{name}: {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
            outcome.faults.setdefault(kind, f"input {number}: {str(error)[:200]}")
        limit = SECONDS + SECONDS_EACH * _size(value)
        if seconds > limit and min(_cost(name, value)[0] for _ in range(3)) > limit:
            outcome.faults.setdefault(f"{name}: slow", f"input {number}: {seconds:.1f} s")
        outcome.slowest[name] = max(outcome.slowest.get(name, 0.0), seconds)
    return outcome
