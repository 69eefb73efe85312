"""Articles that were withdrawn, by the hashes of their addresses: they never come back.

A file of the data folder, because the batch reads it and never opens the store. It holds hashes,
who withdrew what, when and why, and neither an address nor a word of the article.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from kiemchung.domain import sha256_hex
from kiemchung.errors import RecordError

NAME: Final = "tombstones.jsonl"
FORGOTTEN: Final = "forgotten"
"""The reason under which an address or a page is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """One withdrawn article: every address that led to it, hashed."""

    url_sha256: tuple[str, ...]
    article_ids: tuple[str, ...]
    reason: str
    by: str
    at: str  # ISO


def url_hash(url: str) -> str:
    """Return what stands for an address."""
    return sha256_hex(url.encode("utf-8", "surrogatepass"))


def _path(data_dir: Path) -> Path:
    return data_dir / NAME


def read(data_dir: Path) -> list[Tombstone]:
    """Return the tombstones, oldest first.

    Raises:
        RecordError: a line cannot be read; nothing may go on as if nobody had withdrawn anything.
    """
    path = _path(data_dir)
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            found.append(
                Tombstone(
                    url_sha256=tuple(map(str, row["url_sha256"])),
                    article_ids=tuple(map(str, row["article_ids"])),
                    reason=str(row["reason"]),
                    by=str(row["by"]),
                    at=str(row["at"]),
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(
                f"no tombstone: {error!r}",
                where=f"{path}:{number}",
                remedy="put the file of the last backup back; a lost line would bring a page back",
            ) from error
    return found


def hashes(data_dir: Path) -> frozenset[str]:
    """Return the hashes of all withdrawn addresses."""
    return frozenset(h for t in read(data_dir) for h in t.url_sha256)


def covers(withdrawn: frozenset[str], urls: Iterable[str]) -> bool:
    """Whether one of ``urls`` was withdrawn."""
    return bool(withdrawn) and any(url_hash(u) in withdrawn for u in urls if u)


def add(data_dir: Path, stone: Tombstone) -> bool:
    """Append ``stone``, flushed to disk; return whether it said anything new."""
    known = {(h, a) for t in read(data_dir) for h in t.url_sha256 for a in (t.article_ids or ("",))}
    wanted = {(h, a) for h in stone.url_sha256 for a in (stone.article_ids or ("",))}
    if wanted <= known:
        return False
    data_dir.mkdir(parents=True, exist_ok=True)
    with _path(data_dir).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(stone), ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return True
