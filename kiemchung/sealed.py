"""Small JSON files that carry the hash of themselves, so that a flipped bit is no other fact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kiemchung.domain import sha256_hex
from kiemchung.errors import DamagedFileError

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
