"""The archive: WARC 1.1 that other programs read, rotated, private, expired by name."""

from __future__ import annotations

import os
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from crawler.archive import Archive, expire, expired, read
from kiemchung.domain import sha256_hex
from kiemchung.errors import PageError

AT = datetime(2026, 10, 1, 8, tzinfo=UTC)
HEADERS = [
    ("Content-Type", "text/html"), ("X-Robots-Tag", "noai"), ("Set-Cookie", "a=1"),
    ("Content-Encoding", "gzip"), ("Content-Length", "3"),
]  # fmt: skip


def fill(
    folder: Path, bodies: list[bytes], run: str = "2026-W40-x", **given: int
) -> list[tuple[str, int]]:
    store = Archive(folder, run, **given)
    places = [
        store.write(f"http://a.example/{n}", 200, HEADERS, body, AT, sha256_hex(body))
        for n, body in enumerate(bodies)
    ]
    store.close()
    return places


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=6))
def test_any_bytes_come_back_with_their_headers(bodies: list[bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        places = fill(Path(name), bodies)
        for body, (file, offset) in zip(bodies, places, strict=True):
            stored = read(Path(name), file, offset, sha256_hex(body))
            assert stored.body == body
            assert stored.headers == (("Content-Type", "text/html"), ("X-Robots-Tag", "noai"))


def test_other_programs_read_the_file(tmp_path: Path) -> None:
    fill(tmp_path, [b"one", b"two"])
    (path,) = tmp_path.glob("*.warc.gz")
    kinds = []
    with path.open("rb") as file:
        for record in ArchiveIterator(file, check_digests="raise"):
            kinds.append((record.rec_type, record.rec_headers.protocol))
            if record.rec_type == "response":
                assert record.rec_headers["WARC-Payload-Digest"].startswith("sha256:")
                assert record.rec_headers["WARC-Date"] == "2026-10-01T08:00:00Z"
                record.content_stream().read()
    assert kinds == [("warcinfo", "WARC/1.1"), ("response", "WARC/1.1"), ("response", "WARC/1.1")]
    assert tmp_path.stat().st_mode & 0o077 == 0


def test_a_full_file_is_closed_and_a_restart_goes_on_with_the_last(tmp_path: Path) -> None:
    bodies = [os.urandom(3000) for _ in range(6)]
    places = fill(tmp_path, bodies, max_bytes=5000)
    assert len({name for name, _ in places}) == 3
    (again,) = fill(tmp_path, [b"later"], max_bytes=500_000)
    assert again[0] == places[-1][0]
    for body, (name, offset) in zip(bodies, places, strict=True):
        assert read(tmp_path, name, offset, sha256_hex(body)).body == body
    assert read(tmp_path, *again, sha256_hex(b"later")).body == b"later"


def test_half_a_record_at_the_end_harms_nobody(tmp_path: Path) -> None:
    ((name, offset),) = fill(tmp_path, [b"whole"])
    with (tmp_path / name).open("ab") as file:
        file.write(b"\x1f\x8b\x08 half a member")
    ((after, behind),) = fill(tmp_path, [b"after"])
    assert read(tmp_path, name, offset, sha256_hex(b"whole")).body == b"whole"
    assert read(tmp_path, after, behind, sha256_hex(b"after")).body == b"after"


def test_what_was_removed_after_its_time_is_not_called_damaged(tmp_path: Path) -> None:
    ((name, offset),) = fill(tmp_path, [b"old"])
    ((kept, place),) = fill(tmp_path, [b"kept"], run="2026-W41-y")
    long_ago = time.mktime(date(2026, 1, 1).timetuple())
    for file in (name, kept):
        os.utime(tmp_path / file, (long_ago, long_ago))
    assert expire(tmp_path, before=date(2025, 1, 1)) == []
    assert expire(tmp_path, before=date(2026, 6, 1), keep=["2026-W41-y"]) == [name]
    assert expired(tmp_path) == {name}
    for reason, arguments in (
        ("archive_expired", (name, offset, sha256_hex(b"old"))),
        ("archive_damaged", (kept, place, sha256_hex(b"other"))),
        ("archive_damaged", ("never.warc.gz", 0, sha256_hex(b"old"))),
    ):
        with pytest.raises(PageError) as caught:
            read(tmp_path, *arguments)
        assert caught.value.reason == reason
    assert read(tmp_path, kept, place, sha256_hex(b"kept")).body == b"kept"
