"""Verdicts remembered by content, and pairs scored by worker processes."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.domain import Label, Status
from kiemchung.errors import ModelError
from models import registry, scoring
from models.scoring import Cached, key_of, score
from models.verdict import Verdict, failed, verdict_of

FACT = "Hợp tác xã cần ít nhất 5 thành viên chính thức."
PAIRS = [
    (FACT, FACT),
    (FACT.replace("5", "7"), FACT),
    ("Giá lúa tăng mạnh.", FACT),
    ("", FACT),
    *((f"Hợp tác xã có {i} thành viên.", FACT) for i in range(150)),
]


class Counting:
    """A model that counts how often it is asked, and can fail or abstain."""

    model_id = "toy-1"
    threshold = 0.7

    def __init__(self) -> None:
        self.asked = 0

    def judge(self, claim: str, evidence: str) -> Verdict:
        self.asked += 1
        if "hỏng" in claim:
            return failed(ValueError("hỏng"))
        sure = 0.1 if "ngờ" in claim else 0.8
        rest = (1.0 - sure) / 2
        return verdict_of([rest, sure, 1.0 - sure - rest], abstain_below=0.5)


@pytest.fixture
def cached(tmp_path: Path) -> Iterator[Cached]:
    found = Cached(Counting(), tmp_path / "in" / "verdicts.sqlite")
    yield found
    found.close()


def test_a_verdict_is_made_once_and_survives_the_process(cached: Cached) -> None:
    first = cached.judge("a", "b")
    assert cached.judge("a", "b") == first
    assert isinstance(cached.model, Counting)
    assert (cached.model.asked, cached.hits, cached.misses) == (1, 1, 1)
    again = Cached(Counting(), cached.path)
    assert again.judge("a", "b") == first
    assert (again.hits, again.misses) == (1, 0)
    assert (again.model_id, again.threshold) == ("toy-1", 0.7)
    again.close()


def test_an_abstention_is_kept_as_one_and_a_failure_not_at_all(cached: Cached) -> None:
    doubt = cached.judge("ngờ", "b")
    assert doubt.status is Status.ABSTAINED
    assert cached.judge("ngờ", "b") == doubt
    assert cached.judge("hỏng", "b").status is Status.FAILED
    assert cached.judge("hỏng", "b").status is Status.FAILED
    assert isinstance(cached.model, Counting)
    assert cached.model.asked == 3


@given(st.text(), st.text(), st.text(), st.text())
def test_the_parts_of_a_key_cannot_run_together(a: str, b: str, c: str, d: str) -> None:
    assert (key_of("m", a, b) == key_of("m", c, d)) == ((a, b) == (c, d))
    assert key_of("m", a, b) != key_of("n", a, b)


def test_another_model_is_not_answered_from_the_first_ones_rows(cached: Cached) -> None:
    cached.judge("a", "b")
    other = Counting()
    other.model_id = "toy-2"
    second = Cached(other, cached.path)
    second.judge("a", "b")
    assert other.asked == 1
    assert second.forget_others() == 1
    assert cached.judge("a", "b").label is Label.REFUTED
    assert isinstance(cached.model, Counting)
    assert cached.model.asked == 2
    second.close()


def test_a_damaged_file_is_done_without_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "verdicts.sqlite"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    found = Cached(Counting(), path)
    assert found.judge("a", "b").label is Label.REFUTED
    assert "not used as a cache" in caplog.text
    assert found.forget_others() == 0
    assert path.read_bytes().startswith(b"not a database")


def test_a_row_that_was_tampered_with_is_no_verdict(cached: Cached) -> None:
    cached.judge("a", "b")
    with sqlite3.connect(cached.path) as db:
        db.execute("UPDATE checked_verdicts SET label = 'GUILTY'")
    assert cached.judge("a", "b").label is Label.REFUTED
    assert isinstance(cached.model, Counting)
    assert cached.model.asked == 2


def test_threads_share_one_cache(cached: Cached) -> None:
    found: list[Verdict] = []

    def ask() -> None:
        found.extend(cached.judge(f"c{i % 10}", "e") for i in range(50))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 200
    assert cached.hits + cached.misses == 200
    assert len(set(found)) == 1


@pytest.mark.slow
def test_workers_say_what_one_process_says_in_the_same_order() -> None:
    model = registry.load_default()
    expected = [model.judge(*pair) for pair in PAIRS]
    assert list(score(PAIRS)) == expected
    assert list(score(PAIRS, processes=2)) == expected


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scoring, "_chunk", _die)
    expected = [registry.load_default().judge(*pair) for pair in PAIRS]
    assert list(score(PAIRS, processes=2)) == expected
    assert "process died" in caplog.text


def _die(pairs: object) -> list[Verdict]:
    os._exit(9)


def test_a_folder_that_is_no_model_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    def never() -> Iterator[tuple[str, str]]:
        raise AssertionError("read")
        yield ("", "")

    with pytest.raises(ModelError, match="no model here"):
        list(score(never(), folder=tmp_path, processes=2))
