"""Small JSON files that carry the hash of themselves, so that a flipped bit is no other fact.

Where such a file lists others, `check_listed` holds them to it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, Final

from kiemchung.domain import sha256_hex
from kiemchung.errors import DamagedFileError, KiemchungError

_KEY: Final = "sha256_of_the_rest"


def _text(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True)


def canonical_sha256(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of ``facts`` as JSON without blanks and with sorted keys."""
    canonical = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256_hex(canonical.encode("utf-8"))


def write_sealed(path: Path, facts: Mapping[str, Any]) -> None:
    """Write ``facts`` with their hash, whole or not at all."""
    from kiemchung.shards import write_bytes_atomically  # pyarrow is only needed here

    whole = dict(facts) | {_KEY: sha256_hex(_text(facts).encode("utf-8"))}
    write_bytes_atomically(path, _text(whole).encode("utf-8"))


def read_sealed(
    path: Path, *, remedy: str, earlier: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Return the facts of a file that `write_sealed` wrote.

    A file with exactly the keys ``earlier`` is of a version that wrote no hash, and is read as it
    is.

    Raises:
        DamagedFileError: it is gone, no JSON, or not as it was written.
    """
    try:
        text = path.read_text(encoding="utf-8")
        facts = json.loads(text)
        if not isinstance(facts, dict):
            raise ValueError("no JSON object")
        if earlier and set(facts) == earlier:
            return facts
        claimed = facts.pop(_KEY, None)
        found = sha256_hex(_text(facts).encode("utf-8"))
        if claimed != found or text != _text(facts | {_KEY: found}):
            raise ValueError("not as it was written: its SHA-256 differs")
    except (OSError, ValueError) as error:
        raise DamagedFileError(
            f"cannot be used: {error}", where=str(path), remedy=remedy
        ) from error
    return facts


def check_listed(
    folder: Path,
    files: Mapping[str, str],
    *,
    beside: Set[str],
    error: type[KiemchungError],
    remedy: str,
) -> None:
    """Hold a folder to a manifest's ``files``, which map each name to its SHA-256.

    ``beside`` are the names that may lie there unlisted, the manifest's own among them.

    Raises:
        KiemchungError: of the class ``error``: a file is missing, changed or not listed, or a name
            leaves the folder.
    """
    for name, wanted in files.items():
        path = folder / name
        if path.parent != folder:
            raise error("a name that leaves the folder", where=f"{folder}: {name}")
        try:
            with path.open("rb") as data:  # in pieces: an encoder is larger than the rest of us
                actual = hashlib.file_digest(data, "sha256").hexdigest()
        except OSError as unread:
            raise error(f"missing: {unread}", where=str(path), remedy=remedy) from unread
        if actual != wanted:
            raise error(
                f"changed: SHA-256 {actual[:12]}…, the manifest says {str(wanted)[:12]}…",
                where=str(path),
                remedy=remedy,
            )
    stray = {p.name for p in folder.iterdir()} - set(files) - beside
    if stray:
        raise error(
            f"files that the manifest does not list: {', '.join(sorted(stray))}",
            where=str(folder),
            remedy="remove them",
        )
