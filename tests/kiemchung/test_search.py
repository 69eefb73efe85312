"""Search over the claims on a real DuckDB file: accents, several words, phrases, filters, pages."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.domain import Batch, Checkability, Decision, digest
from kiemchung.errors import InputError
from kiemchung.store import Store, open_store, search
from kiemchung.store.inbox import write_batch
from kiemchung.store.search import Query
from kiemchung.store.words import folded
from tests.batches import FLAG_CLAIM, article, batch, judgement, mention

CLAIMS = (
    "Đường liên xã do hợp tác xã đóng góp 30,5% kinh phí.",
    "Hợp tác xã Đồng Tâm có 312 thành viên.",
    "Doanh thu năm nay đạt 1.250 tỷ đồng.",
    "Quỹ tín dụng nhân dân cho vay nội bộ, thành viên góp vốn.",
    "Hợp tác xã tâm đồng ý cho vay.",
)


def claims(texts: tuple[str, ...], *, week: str = "2026-W41", outlet: str = "pho-nho") -> Batch:
    """A batch with one article for each text, in this order of keys."""
    base = batch(week=week, flags=0, quiet=0, suffix=digest(*texts)[:4])
    articles = [article(7000 + n, sentences=(t,), outlet=outlet) for n, t in enumerate(texts)]
    mentions = [mention(a, t) for a, t in zip(articles, texts, strict=True)]
    return replace(
        base,
        articles=tuple(articles),
        mentions=tuple(mentions),
        judgements=tuple(judgement(m, run_id=base.run.run_id) for m in mentions),
    )


def merged(store: Store, new: Batch) -> Store:
    inbox = store.path.parent / "inbox"
    write_batch(inbox, new)
    assert store.merge_inbox(inbox) == [new.run.run_id]
    search.catch_up(store)
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "k.duckdb") as opened:
        yield merged(opened, claims(CLAIMS))


def texts(store: Store, text: str = "", **filters: str) -> set[str]:
    return {hit.text for hit in search.search(store, Query(text=text, **filters))}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("duong", [0]),
        ("ĐƯỜNG", [0]),
        ("dong", [0, 1, 2, 4]),
        ("đóng", [0, 1, 2, 4]),
        ("dong tam", [1, 4]),
        ('"dong tam"', [1]),
        ('"Đồng tâm', [1]),
        ("ho", []),
        ("1.250 tỷ", [2]),
        ("30,5", [0]),
        ("thanh vien vay", [3]),
        ("hop tac xa", [0, 1, 4]),
        ('vay "hợp tác xã"', [4]),
        ("hợp tác xã không có", []),
        ("%%% \"' ;--", []),
        ("' OR 1=1", []),
        ("", [0, 1, 2, 3, 4]),
    ],
)
def test_words_are_found_whatever_their_accents(store: Store, asked: str, found: list[int]) -> None:
    assert texts(store, asked) == {CLAIMS[n] for n in found}


def test_newer_claims_come_first_and_pages_follow_each_other(store: Store) -> None:
    more = tuple(f"Hợp tác xã số {n} có {n} thành viên." for n in range(120))
    merged(store, claims(more, week="2026-W42"))
    seen: list[str] = []
    before = None
    while hits := search.search(store, Query(text="hop tac xa", before=before), limit=50):
        assert [h.mention_key for h in hits] == sorted((h.mention_key for h in hits), reverse=True)
        seen += [h.text for h in hits]
        before = hits[-1].mention_key
    assert set(seen[:120]) == set(more)
    assert set(seen[120:]) == {CLAIMS[0], CLAIMS[1], CLAIMS[4]}
    assert len(seen) == 123


def test_copies_are_one_hit(store: Store) -> None:
    merged(store, batch(copies=3))
    (hit,) = search.search(store, Query(text="luật hiện hành"))
    assert hit.text == FLAG_CLAIM


def test_filters_narrow_the_search(store: Store) -> None:
    merged(store, claims(("Hợp tác xã khác có 7 thành viên.",), week="2026-W43", outlet="nui-cao"))
    assert texts(store, "hop tac xa", outlet="nui-cao") == {"Hợp tác xã khác có 7 thành viên."}
    assert texts(store, week="2026-W43") == {"Hợp tác xã khác có 7 thành viên."}
    assert texts(store, "7", week="2026-W41") == set()
    assert len(texts(store, outlet="pho-nho")) == 5
    assert texts(store, outlet="no-such") == set()
    with pytest.raises(InputError, match="no decision"):
        Query(decision="FAKE")


def test_the_decision_filter_follows_what_people_concluded(store: Store) -> None:
    account = store.authenticate("an", store.add_user("an"))
    assert account is not None
    (hit,) = search.search(store, Query(text="312"))
    assert hit.decision is None
    store.decide(account, hit.mention_key, Decision.SUPPORTED, form_token="a")
    assert texts(store, decision="SUPPORTED") == {hit.text}
    assert texts(store, "312", decision="SUPPORTED") == {hit.text}
    assert texts(store, "312", decision="REFUTED") == set()
    assert texts(store, "hop tac xa", decision="waiting") == {CLAIMS[0], CLAIMS[4]}
    (again,) = search.search(store, Query(text="312"))
    assert again.decision is Decision.SUPPORTED
    store.undo(account)
    assert texts(store, decision="SUPPORTED") == set()
    assert hit.text in texts(store, decision="waiting")


def test_opinions_and_withdrawn_claims_are_not_found(store: Store) -> None:
    changed = claims(CLAIMS)
    kept = tuple(
        replace(m, checkability=Checkability.OPINION) if n == 1 else m
        for n, m in enumerate(changed.mentions[:-1])
    )
    ids = {m.mention_id for m in kept}
    judged = tuple(j for j in changed.judgements if j.mention_id in ids)
    merged(store, replace(changed, mentions=kept, judgements=judged))
    assert texts(store, "hop tac xa") == {CLAIMS[0]}


def test_the_index_goes_on_where_it_stopped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "STRETCH", 7)
    inbox = store.path.parent / "inbox"
    more = tuple(f"Hợp tác xã số {n} vay {n * 3} triệu đồng." for n in range(40))
    write_batch(inbox, claims(more, week="2026-W42"))
    store.merge_inbox(inbox)
    real, calls = search._index, []

    def fails_at_the_third(cursor: object, low: int, high: int) -> int:
        calls.append(high)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(cursor, low, high)  # type: ignore[arg-type]

    monkeypatch.setattr(search, "_index", fails_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        search.catch_up(store)
    (row,) = store._read("SELECT count(*) AS n, count(DISTINCT mention_key) AS d FROM search_claim")
    assert row == {"n": 5 + 14, "d": 5 + 14}
    monkeypatch.setattr(search, "_index", real)
    assert search.catch_up(store) == 26
    assert search.catch_up(store) == 0
    assert len(texts(store, "vay trieu")) == 40
    (row,) = store._read(
        "SELECT (SELECT count(*) FROM search_posting) AS postings,"
        " (SELECT sum(mentions)::BIGINT FROM search_count) AS counted,"
        " (SELECT count(*) - count(DISTINCT term) FROM search_term) AS doubled"
    )
    assert row["postings"] == row["counted"]
    assert row["doubled"] == 0


def test_rare_and_common_words_give_what_a_plain_scan_gives(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ways through the index differ by how often a word stands; what is found must not."""
    rnd = random.Random(4)
    words = [
        "hợp",
        "tác",
        "xã",
        "luật",
        "quỹ",
        "tín",
        "dụng",
        "vay",
        "thành",
        "viên",
        "đồng",
        "điều",
        "lệ",
        "sóc",
        "trăng",
    ]
    made = tuple(
        " ".join(rnd.choices(words, weights=range(len(words), 0, -1), k=8)) + f" {n}."
        for n in range(300)
    )
    merged(store, claims(made, week="2026-W44"))
    monkeypatch.setattr(search, "_FIRST_LOOK", 16)
    for _ in range(40):
        asked = rnd.sample(words, rnd.randint(1, 4))
        wanted = {t for t in made + CLAIMS if all(plain(w) in plain(t).split() for w in asked)}
        found = search.search(store, Query(text=" ".join(asked)), limit=1000)
        assert {h.text for h in found} == wanted, asked


def plain(text: str) -> str:
    """Another way to the same folding, to compare with."""
    bare = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    kept = "".join(c if c.isalnum() else " " for c in bare if not unicodedata.combining(c))
    return " ".join(kept.split())


LETTERS = "aăâbcdđeêghiklmnoôơpqrstuưvxy"
TONES = ["", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323"]
syllables = st.lists(
    st.tuples(st.sampled_from(LETTERS), st.sampled_from(TONES)), min_size=1, max_size=6
).map(lambda pairs: unicodedata.normalize("NFC", "".join(a + b for a, b in pairs)))
sentences_ = st.lists(syllables | st.integers(0, 9999).map(str), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(tmp_path_factory.mktemp("fold") / "k.duckdb") as opened:
        yield opened


@given(words=sentences_, gap=st.sampled_from([" ", "  ", ", ", " - ", "/", "…"]))
def test_vietnamese_folds_as_another_program_folds_it(
    empty: Store, words: list[str], gap: str
) -> None:
    text = gap.join(words)
    spelled = [text, text.upper(), unicodedata.normalize("NFD", text), plain(text)]
    with empty._cursor() as cursor:
        assert folded(cursor, spelled) == [plain(text)] * 4


@given(text=st.text(max_size=40))
def test_folding_twice_changes_nothing_and_leaves_single_blanks(empty: Store, text: str) -> None:
    text = text.encode("utf-8", "ignore").decode().replace("\0", "")
    with empty._cursor() as cursor:
        (once,) = folded(cursor, [text])
        assert folded(cursor, [once]) == [once]
    assert once == " ".join(once.split(" ")) == once.strip(" ")


@given(text=st.text(max_size=300))
def test_whatever_is_typed_is_answered(empty: Store, text: str) -> None:
    assert search.search(empty, Query(text=text)) == []


def test_what_a_kill_left_of_an_index_is_made_again(store: Store) -> None:
    """Postings are committed before the row that makes them count."""
    with store._writing() as cursor:
        cursor.execute("DELETE FROM search_claim")  # killed before the last transaction
        cursor.execute("DELETE FROM search_count")
        cursor.execute("DELETE FROM search_posting WHERE term_key % 3 = 0")
    assert search.search(store, search.Query(text="hop tac xa")) == []
    assert search.catch_up(store) > 0
    (row,) = store._read(
        "SELECT count(*) AS n, (SELECT count(*) FROM (SELECT DISTINCT * FROM search_posting)) AS d,"
        " (SELECT sum(mentions) FROM search_count) AS counted FROM search_posting"
    )
    assert row["n"] == row["d"] == row["counted"]
    assert search.search(store, search.Query(text="hop tac xa")) != []
