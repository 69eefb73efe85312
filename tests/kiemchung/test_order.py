"""The reading order in arrays says what a list of entries said."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.domain import Distortion, digest
from kiemchung.priority import novelty_of
from kiemchung.store.order import Order, _Reading, strewn
from kiemchung.store.rows import Slot

Row = tuple[object, ...]
_DRAWS = st.lists(st.integers(0, 2**32 - 1), max_size=40)


@given(st.integers(0, 40), _DRAWS)
def test_the_sample_stands_among_the_flags_at_its_drawn_places(
    flags: int, draws: list[int]
) -> None:
    places = [(2 * n, 0, n) for n in range(flags)]
    for number, draw in enumerate(draws, flags):
        places.append((2 * (draw * max(flags, 1) >> 32) + 1, draw, number))
    wanted = [number for _, _, number in sorted(places)]
    found = strewn(flags, np.array(draws, dtype=np.int64)).tolist()
    assert found == wanted
    assert not flags or found[0] == 0  # the strongest flag stays first


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Rows as the database gives them: flags, then the sample, then the rest."""
    found: list[Row] = []
    key = 1
    for number in range(draw(st.integers(0, 25))):
        members = list(range(key, key + draw(st.integers(1, 3))))
        key = members[-1] + draw(st.integers(1, 5))
        kind = draw(st.integers(0, 2))
        weeks = sorted(draw(st.sets(st.sampled_from(["2026-W01", "2026-W02"]), min_size=1)))
        kinds = sorted(draw(st.sets(st.sampled_from([str(d) for d in Distortion]), max_size=2)))
        found.append(
            (
                draw(st.sampled_from(members)), members, weeks, f"claim {number // 2}", kind == 0,
                kind == 1 or (draw(st.booleans()) and kind == 0),
                draw(st.none() | st.floats(0, 1)), draw(st.integers(1, 9)), None, None, kinds,
                draw(st.booleans()), digest("mention", str(number)),
            )
        )  # fmt: skip
    return sorted(found, key=lambda r: (not r[4], not r[5]))


def _slot(row: Row) -> Slot:
    return Slot(
        mention_key=row[0], mention_keys=tuple(row[1]), claim=hash(row[3]), weeks=tuple(row[2]),  # type: ignore[arg-type]
        flagged=row[4], sampled=row[5], p_refuted=row[6], stories=row[7],  # type: ignore[arg-type]
        novelty=novelty_of(None, None), kinds=tuple(Distortion(k) for k in row[10]),  # type: ignore[attr-defined]
        doubled=row[11],  # type: ignore[arg-type]
    )  # fmt: skip


def _order(found: list[Row]) -> Order:
    reading = _Reading()
    for row in found:
        reading.add(row)
    return reading.order()


@given(rows())
def test_arrays_hold_what_the_rows_said(found: list[Row]) -> None:
    order = _order(found)
    slots = [order.slot(n) for n in range(len(order))]
    assert sorted(slots, key=lambda s: s.mention_key) == sorted(
        map(_slot, found), key=lambda s: s.mention_key
    )
    assert [s.flagged or s.sampled for s in slots] == order.asked.tolist()
    for week in ("2026-W01", "2026-W02"):
        if week in order.weeks:
            assert order.weeks[week].tolist() == [week in s.weeks for s in slots]
        else:
            assert not any(week in s.weeks for s in slots)


@given(rows())
def test_entries_are_found_by_mention_and_by_claim(found: list[Row]) -> None:
    order = _order(found)
    held = {key: n for n in range(len(order)) for key in order.slot(n).mention_keys}
    top = max(held, default=0)
    for key in range(-1, top + 3):
        assert order.number_of(key) == held.get(key)
    asked = [*range(0, top + 3, 2), *list(held)[:3]]
    assert order.numbers_of(asked) == sorted({held[k] for k in asked if k in held})
    for claim in {"claim 0", "claim 5", "no claim"}:
        wanted = [n for n in range(len(order)) if order.slot(n).claim == hash(claim)]
        assert sorted(order.of_claim(hash(claim)).tolist()) == wanted
    some = list(held)[::2]
    assert order.with_mentions(some).tolist() == [
        order.slot(n).mention_key in some for n in range(len(order))
    ]
