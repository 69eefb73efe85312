"""The decisions as a data set: every act in a named state, nobody recognisable, nothing on two sides."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from kiemchung.config import load_settings
from kiemchung.domain import (
    Article,
    Batch,
    Decision,
    Distortion,
    Judgement,
    Label,
    Mention,
    digest,
    sha256_hex,
)
from kiemchung.errors import AccountingError, DamagedFileError, InputError
from kiemchung.store import Account, Store, double, open_store
from kiemchung.store.conclusions import STATES, conclusions
from kiemchung.store.double import Cause
from kiemchung.store.inbox import write_batch
from kiemchung.store.reopening import Replaced, reopen, withdraw
from models import reviewed, splits
from models.reviewed import ReviewedPair, read_split
from pipeline.cli import app
from pipeline.dataset import export_dataset
from pipeline.weekly import store_path
from tests.batches import (
    FLAG_CLAIM,
    NEW_PASSAGE,
    OLD_PASSAGE,
    OTHER_PASSAGE,
    article,
    batch,
    flag,
    judgement,
    mention,
)

WEEKS = ("2026-W36", "2026-W37", "2026-W38", "2026-W39")
EVERY = (*reviewed.SPLITS, reviewed.OUTSIDE)
VILLAGES = ("An Bình", "Bến Cát", "Cao Lộc", "Đông Hà")


def week(number: int, *, claims: tuple[str, ...] = ()) -> Batch:
    """A week of its own: a flag and a claim beside nothing in each of four villages."""
    run_id = f"{WEEKS[number]}-0123456789ab"
    articles: list[Article] = []
    mentions: list[Mention] = []
    judgements: list[Judgement] = []
    said = claims or tuple(
        text
        for at, name in enumerate(VILLAGES)
        for text in (
            f"Luật buộc hợp tác xã {name} có ít nhất {7 + number * 10 + at} thành viên.",
            f"Hợp tác xã {name} vừa kết nạp {100 + number * 10 + at} hộ.",
        )
    )
    for at, text in enumerate(said):
        one = article(number * 100 + at, sentences=(text,), outlet="bao-rieng")
        found = mention(one, text)
        articles.append(one)
        mentions.append(found)
        made = flag(found, run_id=run_id) if "Luật" in text else judgement(found, run_id=run_id)
        judgements.append(made)
    given = batch(week=WEEKS[number], flags=0, copies=0, quiet=0)
    return replace(
        given,
        run=replace(given.run, run_id=run_id),
        articles=tuple(articles),
        mentions=tuple(mentions),
        judgements=tuple(judgements),
    )


class Desk:
    """A store in which people conclude."""

    def __init__(self, store: Store, inbox: Path) -> None:
        self.store = store
        self.inbox = inbox
        self.tokens = 0
        self.people = {
            u.name: Account(key=u.key, name=u.name, role=u.role, must_change=False)
            for u in store.users()
        }

    def merge(self, *batches: Batch) -> None:
        for given in batches:
            write_batch(self.inbox, given)
        self.store.merge_inbox(self.inbox)

    def mentions(self) -> dict[str, int]:
        """The mentions by the claim's words; of two alike the later one."""
        rows = self.store._read("SELECT text, mention_key FROM mention ORDER BY mention_key")
        return {r["text"]: r["mention_key"] for r in rows}

    def say(self, who: str, text: str | int, decision: Decision, **given: Any) -> int:
        key = self.mentions()[text] if isinstance(text, str) else text
        self.tokens += 1
        cited = [NEW_PASSAGE.passage_id] if decision is Decision.REFUTED else []
        made = self.store.decide(
            self.people[who], key, decision, form_token=f"t{self.tokens}",
            **({"cited_passages": cited} | given),
        )  # fmt: skip
        assert made is not None
        return made

    def everything(self) -> None:
        """Two people take turns, and write down what must not leave."""
        for at, text in enumerate(self.mentions()):
            refuted = "Luật" in text
            self.say(
                "an" if at % 2 else "binh",
                text,
                Decision.REFUTED if refuted else Decision.NOT_ENOUGH_INFO,
                distortions=[Distortion.NUMBER] if refuted else [],
                note="ghi chú riêng của Bình",
                correction="sửa như vầy" if refuted else "",
                seconds=12.34,
            )

    def a_few(self) -> None:
        for text in list(self.mentions())[::3]:
            self.say("an", text, Decision.NOT_ENOUGH_INFO)


@pytest.fixture(scope="module")
def staffed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with three accounts and nothing else, to be copied: hashing passwords is slow."""
    path = tmp_path_factory.mktemp("staffed") / "k.duckdb"
    with open_store(path) as store:
        for name, role in (("an", "reviewer"), ("binh", "reviewer"), ("chi", "adjudicator")):
            store.add_user(name, role=role)
    return path.parent


@contextmanager
def opened(staffed: Path, path: Path, *, double_share: float = 0.0) -> Iterator[Desk]:
    path.parent.mkdir(parents=True, exist_ok=True)
    for file in staffed.iterdir():
        if not file.name.endswith(".lock"):
            shutil.copy(file, path.with_name(file.name.replace("k.duckdb", path.name)))
    with open_store(path, double_share=double_share) as store:
        yield Desk(store, path.parent / "inbox")


@pytest.fixture(scope="module")
def merged(staffed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with four weeks merged, and nobody has concluded anything."""
    home = tmp_path_factory.mktemp("merged")
    with opened(staffed, home / "k.duckdb") as desk:
        desk.merge(*(week(n) for n in range(4)))
    shutil.rmtree(home / "inbox")
    return home


@pytest.fixture
def four_weeks(merged: Path, tmp_path: Path) -> Iterator[Desk]:
    with opened(merged, tmp_path / "var" / "k.duckdb") as found:
        yield found


@pytest.fixture
def desk(staffed: Path, tmp_path: Path) -> Iterator[Desk]:
    with opened(staffed, tmp_path / "var" / "k.duckdb") as found:
        yield found


@pytest.fixture(scope="module")
def decided(merged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which four weeks are decided."""
    home = tmp_path_factory.mktemp("decided")
    with opened(merged, store_path(load_settings(data_dir=home))) as desk:
        desk.everything()
    return home


@pytest.fixture(scope="module")
def written(decided: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its data set, as the command writes it."""
    folder = tmp_path_factory.mktemp("written") / "out"
    done = CliRunner().invoke(
        app, ["export", "--dataset", str(folder), "--data", str(decided), "--json"]
    )
    assert done.exit_code == 0, done.output
    body = json.loads(done.stdout)
    assert body.pop("folder") == str(folder)
    assert body == reviewed.verify(folder)
    return folder


def pairs(folder: Path) -> dict[str, ReviewedPair]:
    return {p.claim or p.pair_id: p for n in EVERY for p in read_split(folder, n)}


def test_a_pair_says_what_was_concluded_about_which_words_beside_which(written: Path) -> None:
    made = reviewed.verify(written)
    assert made["pairs"] == 32
    assert made["splits"]["rule"] == "time"
    assert made["splits"]["weeks"] == {
        "train": ["2026-W36", "2026-W37"], "dev": ["2026-W38", "2026-W38"],
        "test": ["2026-W39", "2026-W39"],
    }  # fmt: skip
    found = pairs(written)
    one = found["Luật buộc hợp tác xã An Bình có ít nhất 7 thành viên."]
    assert (one.label, one.distortions) == (Label.REFUTED, (Distortion.NUMBER,))
    assert (one.evidence, one.passages) == (NEW_PASSAGE.text, (NEW_PASSAGE.passage_id,))
    assert (one.selected_as, one.probability) == ("flag", 1.0)
    assert (one.model_label, one.p_refuted) == (Label.REFUTED, 0.93)
    assert (one.week, one.as_of) == ("2026-W36", "2026-09-30")
    assert one.claim_sha256 == sha256_hex(one.claim.encode("utf-8"))
    assert one.trainable
    beside_nothing = found["Hợp tác xã An Bình vừa kết nạp 100 hộ."]
    assert (beside_nothing.evidence, beside_nothing.passages) == ("", ())
    assert not beside_nothing.trainable
    by = made["counts"]["train"]
    assert by["by_label"] == {"NOT_ENOUGH_INFO": 8, "REFUTED": 8}
    assert (by["trainable"], by["without_evidence"]) == (8, 8)
    drawn = [p for p in found.values() if p.selected_as == "sample"]
    assert all(p.probability == pytest.approx(0.05) for p in drawn)
    assert sum(s["drawn_decided"] for s in made["selection"].values()) == len(drawn)
    assert [s["flags"] for s in made["selection"].values()] == [4, 4, 4, 4]


def test_evidence_is_what_was_cited_or_what_lay_there(desk: Desk, tmp_path: Path) -> None:
    texts = tuple(f"Luật buộc hợp tác xã có ít nhất {n} thành viên." for n in range(7, 11))
    desk.merge(week(0, claims=texts))
    desk.say("an", texts[0], Decision.REFUTED, cited_passages=[OTHER_PASSAGE.passage_id, NEW_PASSAGE.passage_id])  # fmt: skip
    desk.say("an", texts[1], Decision.SUPPORTED)  # cites nothing: the one on point lay there
    desk.say("an", texts[2], Decision.CONFLICTING, cited_passages=[OTHER_PASSAGE.passage_id])
    export_dataset(desk.store, tmp_path / "out")
    found = pairs(tmp_path / "out")
    assert found[texts[0]].evidence == f"{OTHER_PASSAGE.text}\n{NEW_PASSAGE.text}"
    assert found[texts[1]].passages == (NEW_PASSAGE.passage_id,)
    assert found[texts[2]].passages == (OTHER_PASSAGE.passage_id,)
    assert found[texts[2]].label is Label.CONFLICTING
    assert not found[texts[2]].trainable
    # A later wording of the base does not change what was cited.
    changed = replace(NEW_PASSAGE, text="Câu chữ mới của cùng căn cứ.")
    given = week(1, claims=("Xã có 5 hộ.",))
    desk.merge(replace(given, passages=(OLD_PASSAGE, changed, OTHER_PASSAGE)))
    export_dataset(desk.store, tmp_path / "again")
    assert pairs(tmp_path / "again")[texts[1]].evidence == NEW_PASSAGE.text


def test_every_act_ends_in_one_state_and_the_sums_match(four_weeks: Desk, tmp_path: Path) -> None:
    desk = four_weeks
    store = desk.store
    keys = [k for t, k in desk.mentions().items() if "Luật" in t]
    R, S, N = Decision.REFUTED, Decision.SUPPORTED, Decision.NOT_ENOUGH_INFO
    desk.say("an", keys[0], R)
    store.undo(desk.people["an"])
    withdraw(store, desk.people["an"], desk.say("an", keys[1], R), "nhầm")
    desk.say("an", keys[2], R)
    reopen(store, [Replaced(mention_key=keys[2], reason="thay")])
    desk.say("an", keys[3], R)
    desk.say("an", keys[3], S)
    desk.say("an", keys[4], Decision.SKIPPED)
    for who, decision in (("an", R), ("binh", S)):
        desk.say(who, keys[5], decision)
        desk.say(who, keys[6], decision)
    double.adjudicate(store, desk.people["chi"], keys[6], N, cause=Cause.SLIP, form_token="last")
    desk.say("an", keys[7], R)
    desk.say("binh", keys[7], R)
    desk.say("an", keys[8], Decision.UNCHECKABLE)
    desk.say("an", keys[9], S)
    url = store._read("SELECT url FROM article JOIN mention USING (article_key) WHERE mention_key = ?", [keys[10]])[0]["url"]  # fmt: skip
    desk.say("an", keys[10], S)
    with store._cursor() as cursor:
        from kiemchung.store.forgetting import forget, hashes_of

        forget(cursor, hashes_of(cursor, url), reason="xin gỡ", by=None, who="chi")
    desk.say("binh", keys[11], S)
    without = week(2)
    gone = desk_mention(without, store, keys[11])
    desk.merge(replace(without, judgements=tuple(j for j in without.judgements if j.mention_id != gone), mentions=tuple(m for m in without.mentions if m.mention_id != gone)))  # fmt: skip
    made = export_dataset(store, tmp_path / "out")
    assert made["states"] == dict.fromkeys(STATES, 0) | {
        "undo": 1, "undone": 1, "withdrawn": 1, "evidence_replaced": 1, "changed": 1,
        "skipped": 1, "disputed": 2, "before_adjudication": 2, "seconded": 1, "stands": 7,
    }  # fmt: skip
    assert sum(made["states"].values()) == made["reviews"] == len(store.reviews())
    assert made["left_out"] == {
        "uncheckable": 1, "article_withdrawn": 1, "in_no_run": 1, "other_week": 0,
    }  # fmt: skip
    assert made["pairs"] == 4
    found = [p for n in EVERY for p in read_split(tmp_path / "out", n)]
    assert sorted(p.label for p in found) == sorted([S, N, R, S])
    (settled,) = [p for p in found if p.adjudicated]
    assert settled.label is Label.NOT_ENOUGH_INFO
    # Only one week: the rest is counted.
    one = export_dataset(store, tmp_path / "one", week=WEEKS[0])
    assert one["left_out"]["other_week"] + one["pairs"] == made["pairs"] + 1
    card = (tmp_path / "out" / reviewed.CARD).read_text("utf-8")
    assert "| 2 | reviewers differ and nobody has decided |" in card
    assert "| 1 | the article was withdrawn |" in card


def desk_mention(given: Batch, store: Store, key: int) -> str:
    (row,) = store._read("SELECT mention_id FROM mention WHERE mention_key = ?", [key])
    assert row["mention_id"] in {m.mention_id for m in given.mentions}
    return str(row["mention_id"])


def test_a_first_conclusion_of_two_planned_ones_stays_in_the_house(
    staffed: Path, tmp_path: Path
) -> None:
    with opened(staffed, tmp_path / "k.duckdb", double_share=1.0) as desk:
        store = desk.store
        desk.merge(week(0))
        text = next(t for t in desk.mentions() if "Luật" in t)
        desk.say("an", text, Decision.REFUTED)
        with pytest.raises(InputError, match="nobody has concluded yet"):
            export_dataset(store, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        desk.say("binh", text, Decision.REFUTED)
        made = export_dataset(store, tmp_path / "out")
        assert (made["states"]["stands"], made["states"]["seconded"]) == (1, 1)


def test_nothing_of_a_person_or_of_the_rest_of_the_page_leaves(written: Path) -> None:
    whole = b"".join(p.read_bytes() for p in written.iterdir()).decode("utf-8")
    for word in (
        "binh", "ghi chú riêng", "sửa như vầy", "12.34", "bao-rieng", "http", "Chuyện hợp tác xã số",
        "Bà con đã chuẩn bị", "Một xã ven sông", '"t1"',
    ):  # fmt: skip
        assert word not in whole, word
    assert re.search(r'"reviewer": "r-[0-9a-f]{12}"', whole)


def test_pseudonyms_hold_in_one_data_set_only(decided: Path, written: Path, tmp_path: Path) -> None:
    shutil.copytree(decided, tmp_path / "var")
    before = {p.claim: p.reviewer for p in pairs(written).values()}
    with open_store(store_path(load_settings(data_dir=tmp_path / "var"))) as store:
        export_dataset(store, tmp_path / "same")
        assert {p.name: p.read_bytes() for p in (tmp_path / "same").iterdir()} == {
            p.name: p.read_bytes() for p in written.iterdir()
        }
        desk = Desk(store, tmp_path / "inbox")
        texts = list(desk.mentions())
        odd, even = ({before[t] for t in texts[n::2]} for n in (1, 0))
        assert len(odd) == len(even) == 1
        assert odd != even
        store.undo(desk.people["an"])
        changed = export_dataset(store, tmp_path / "fewer")
    after = {p.claim: p.reviewer for p in pairs(tmp_path / "fewer").values()}
    assert len(after) == len(before) - 1
    assert not set(before.values()) & set(after.values())
    assert changed["version"] != reviewed.verify(written)["version"]


def test_a_page_that_reserves_its_words_gives_their_hash(desk: Desk, tmp_path: Path) -> None:
    given = week(0)
    signs = ("noarchive", "nosnippet", "noai", "tdm", "noimageai", "")
    articles = tuple(
        replace(a, opt_outs=(sign,) if sign else ())
        for a, sign in zip(given.articles, signs, strict=False)
    )
    wanted = {m.text for m in given.mentions[:4]}
    desk.merge(replace(given, articles=articles, mentions=given.mentions[:6], judgements=given.judgements[:6]))  # fmt: skip
    for text in desk.mentions():
        desk.say("an", text, Decision.NOT_ENOUGH_INFO)
    made = export_dataset(desk.store, tmp_path / "out")
    found = [p for n in EVERY for p in read_split(tmp_path / "out", n)]
    withheld = [p for p in found if not p.claim]
    assert len(withheld) == 4 == sum(c["claim_withheld"] for c in made["counts"].values())
    assert len(found) == 6
    assert {p.claim_sha256 for p in withheld} == {sha256_hex(w.encode("utf-8")) for w in wanted}
    assert not any(p.trainable for p in withheld)
    whole = b"".join(p.read_bytes() for p in (tmp_path / "out").iterdir()).decode("utf-8")
    assert not any(w in whole for w in wanted)


def test_what_comes_back_later_leaves_the_later_split(desk: Desk, tmp_path: Path) -> None:
    came_back = "Luật buộc hợp tác xã có ít nhất 9 thành viên chính thức cùng lập ra."
    retyped = came_back.upper().replace("ÍT NHẤT", "ÍT  NHẤT")
    nearly = came_back.replace("cùng", "tự nguyện cùng")
    other_number = came_back.replace("9", "8")
    weeks = [
        week(0, claims=(came_back, "Xã Đông có 40 hộ trồng lúa mới.")),
        week(1, claims=("Xã Tây vừa góp 31 tỷ đồng.",)),
        week(2, claims=(nearly, "Xã Nam bán 12 tấn cá.")),
        week(3, claims=(retyped, other_number, "Xã Bắc có 3 hợp tác xã.")),
    ]
    story = weeks[0].articles[1].story_id
    weeks[3] = replace(
        weeks[3],
        articles=tuple(
            replace(a, story_id=story) if "3 hợp tác xã" in a.text else a for a in weeks[3].articles
        ),
    )
    desk.merge(*weeks)
    for text in desk.mentions():
        desk.say("an", text, Decision.NOT_ENOUGH_INFO)
    made = export_dataset(desk.store, tmp_path / "out")
    outside = {p.claim for p in read_split(tmp_path / "out", reviewed.OUTSIDE)}
    assert outside == {retyped, nearly, "Xã Bắc có 3 hợp tác xã."}
    assert made["splits"]["outside"] == {
        "nearly_the_same_words": 1, "same_story": 1, "same_words": 1,
    }  # fmt: skip
    assert [p.claim for p in read_split(tmp_path / "out", "test")] == [other_number]
    done = CliRunner().invoke(app, ["data", "leaks", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 0, done.output


def test_a_hole_in_the_split_and_a_sum_that_does_not_match_stop_the_export(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "Xã Đông có 40 hộ trồng lúa mới trong vụ này."
    desk.merge(week(0, claims=(said, said.replace("mới", "nếp"))))
    for text in desk.mentions():
        desk.say("an", text, Decision.NOT_ENOUGH_INFO)
    apart = splits.Split(rule="time", of=np.array([0, 2], np.int8), why={}, weeks={})
    with monkeypatch.context() as patched:
        patched.setattr(splits, "split", lambda *_: apart)
        with pytest.raises(AccountingError, match="near_claim 1") as told:
            export_dataset(desk.store, tmp_path / "out")
    assert "pairs " in told.value.where
    assert not (tmp_path / "out").exists()
    with monkeypatch.context() as patched:
        short = replace(conclusions(desk.store), reviews=3)
        patched.setattr("kiemchung.store.conclusions.conclusions", lambda _: short)
        with pytest.raises(AccountingError, match="reviews against their states: 3 and 2"):
            export_dataset(desk.store, tmp_path / "out")
    with pytest.raises(DamagedFileError):
        reviewed.verify(tmp_path / "out")
    export_dataset(desk.store, tmp_path / "out")
    reviewed.verify(tmp_path / "out")


def test_the_sentences_around_leave_only_when_asked_for(desk: Desk, tmp_path: Path) -> None:
    given = week(0)
    articles = list(given.articles[:3])
    articles[1] = replace(articles[1], opt_outs=("tdm",))
    kept = {a.article_id for a in articles}
    mentions = tuple(m for m in given.mentions if m.article_id in kept)
    judged = {m.mention_id for m in mentions}
    desk.merge(replace(given, articles=tuple(articles), mentions=mentions, judgements=tuple(j for j in given.judgements if j.mention_id in judged)))  # fmt: skip
    for text in desk.mentions():
        desk.say("an", text, Decision.NOT_ENOUGH_INFO)
    made = export_dataset(desk.store, tmp_path / "out", with_text=True)
    assert made["with_text"]
    assert reviewed.verify(tmp_path / "out")["files"]["context.jsonl"]["rows"] == 2
    lines = (tmp_path / "out" / "context.jsonl").read_text("utf-8").splitlines()
    around = {r["pair_id"]: r for r in map(json.loads, lines)}
    allowed = [p for p in pairs(tmp_path / "out").values() if p.claim]
    assert {p.pair_id for p in allowed} == set(around)
    for one in around.values():
        assert one["before"] == "Một xã ven sông vừa có thêm hợp tác xã."
        assert one["after"] == "Bà con đã chuẩn bị cho vụ mới từ tháng trước."
    assert "for the house alone" in (tmp_path / "out" / reviewed.CARD).read_text("utf-8")
    # The same folder written again without it holds none.
    plain = export_dataset(desk.store, tmp_path / "out")
    assert not (tmp_path / "out" / "context.jsonl").exists()
    assert reviewed.verify(tmp_path / "out")["version"] == plain["version"] != made["version"]


def test_copies_are_counted_and_not_repeated(desk: Desk, tmp_path: Path) -> None:
    desk.merge(batch(flags=1, copies=3, quiet=0))
    desk.say("an", FLAG_CLAIM, Decision.REFUTED)
    made = export_dataset(desk.store, tmp_path / "out")
    assert (made["pairs"], made["copies_covered"]) == (1, 3)


def copied(written: Path, to: Path) -> Path:
    to.mkdir()
    for path in written.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


@pytest.mark.parametrize("name", [*(f"{n}.jsonl" for n in EVERY), reviewed.CARD, reviewed.MANIFEST])
def test_a_flipped_bit_a_missing_and_a_foreign_file_are_refused(
    written: Path, tmp_path: Path, name: str
) -> None:
    folder = copied(written, tmp_path / "set")
    path = folder / name
    good = path.read_bytes()
    places = sorted({0, len(good) // 2, max(len(good) - 2, 0)})
    for place in places:
        bad = bytearray(good or b" ")
        bad[place] ^= 1
        path.write_bytes(bytes(bad))
        with pytest.raises(DamagedFileError) as told:
            reviewed.verify(folder)
        assert name in told.value.where
    path.unlink()
    with pytest.raises(DamagedFileError):
        reviewed.verify(folder)
    path.write_bytes(good)
    reviewed.verify(folder)
    (folder / "more.jsonl").write_text("{}\n")
    with pytest.raises(DamagedFileError, match=r"more\.jsonl"):
        reviewed.verify(folder)


@pytest.mark.parametrize(
    "edit",
    [
        lambda body: body | {"pairs": body["pairs"] + 1},
        lambda body: body | {"files": {}},
        lambda body: body | {"format": 2},
        lambda body: body | {"files": body["files"] | {"../x": {"sha256": "0"}}},
        lambda body: {k: v for k, v in body.items() if k != "manifest_sha256"},
        lambda body: [body],
    ],
)
def test_an_edited_manifest_is_refused(written: Path, tmp_path: Path, edit: Any) -> None:
    folder = copied(written, tmp_path / "set")
    body = edit(json.loads((folder / reviewed.MANIFEST).read_text("utf-8")))
    (folder / reviewed.MANIFEST).write_text(json.dumps(body, indent=1), "utf-8")
    with pytest.raises(DamagedFileError, match="no data set"):
        reviewed.verify(folder)
    if isinstance(body, dict) and "manifest_sha256" in body and body["format"] == 1:
        # Also one whose hash of itself was made anew, if it does not list what belongs there.
        body.pop("manifest_sha256")
        reviewed.write_manifest(folder, body)
        if body["files"].keys() != json.loads((written / reviewed.MANIFEST).read_text("utf-8"))["files"].keys():  # fmt: skip
            with pytest.raises(DamagedFileError, match=r"no data set|leaves the folder"):
                reviewed.verify(folder)


def test_a_line_separator_inside_a_claim_is_no_new_line(tmp_path: Path) -> None:
    one = ReviewedPair(
        pair_id="p", claim="một\u2028hai\x85ba", claim_sha256="0", evidence="", passages=(),
        label=Label.SUPPORTED, distortions=(), reviewer="r-1", week="2026-W36", story="s",
        claim_id="c", as_of="2026-09-30", selected_as="none", probability=None,
        decision_before_model=None, shown_model=False, adjudicated=False, model_label=None,
        p_refuted=None,
    )  # fmt: skip
    (tmp_path / "train.jsonl").write_bytes(reviewed.lines_of([one, one]))
    assert read_split(tmp_path, "train") == [one, one]
    (tmp_path / "dev.jsonl").write_bytes(b"")
    assert read_split(tmp_path, "dev") == []


def test_a_folder_with_something_else_in_it_is_left_alone(four_weeks: Desk, tmp_path: Path) -> None:
    desk = four_weeks
    desk.a_few()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        export_dataset(desk.store, tmp_path / "mine")
    with pytest.raises(InputError, match="not a folder"):
        export_dataset(desk.store, tmp_path / "mine" / "thesis.txt")
    first = export_dataset(desk.store, tmp_path / "out")
    text = "Hợp tác xã An Bình vừa kết nạp 120 hộ."
    assert text not in list(desk.mentions())[::3]
    desk.say("an", text, Decision.NOT_ENOUGH_INFO)
    second = export_dataset(desk.store, tmp_path / "out")  # an earlier data set is replaced
    assert second["pairs"] == first["pairs"] + 1
    assert reviewed.verify(tmp_path / "out")["version"] == second["version"] != first["version"]


def test_fewer_than_three_weeks_are_split_by_story_and_say_so(
    four_weeks: Desk, tmp_path: Path
) -> None:
    four_weeks.a_few()
    made = export_dataset(four_weeks.store, tmp_path / "out", until=WEEKS[1])
    assert made["splits"]["rule"] == "story"
    assert "no split is later" in (tmp_path / "out" / reviewed.CARD).read_text("utf-8")
    dealt = {p.story: n for n in reviewed.SPLITS for p in read_split(tmp_path / "out", n)}
    wanted = {s: "train" if int(digest("split", s)[:8], 16) / 2**32 < 0.7 else "not" for s in dealt}
    assert {s for s, n in dealt.items() if n == "train"} == {s for s, n in wanted.items() if n == "train"}  # fmt: skip


def test_the_command_takes_weeks_and_tells_mistakes(
    decided: Path, written: Path, tmp_path: Path
) -> None:
    run = CliRunner()
    given = ["export", "--data", str(decided), "--json"]
    into = [*given, "--dataset", str(tmp_path / "out")]
    done = run.invoke(app, [*into, "--until", "2026-09-08"])
    assert done.exit_code == 0, done.output
    body = json.loads(done.stdout)
    assert (body["left_out"]["other_week"], body["pairs"]) == (16, 16)
    assert body["chosen"] == {"week": None, "until": "2026-W37"}
    assert list(body["selection"]) == ["2026-W36", "2026-W37"]
    assert run.invoke(app, ["data", "verify", str(written), "--json"]).exit_code == 0
    assert isinstance(run.invoke(app, ["data", "verify", str(decided)]).exception, DamagedFileError)
    for wrong in (
        [*into, "--out", "x"],
        [*into, "--mention", "m"],
        [*into, "--week", "2026-W36", "--until", "2026-W37"],
        [*into, "--until", "gần đây"],
        [*given, "--until", "2026-W37"],
        [*given, "--with-text"],
    ):
        assert isinstance(run.invoke(app, wrong).exception, InputError), wrong
