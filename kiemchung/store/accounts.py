"""Local accounts: argon2id, one-time passwords, a lock after ten failures, sessions on the server.

An unknown name, a wrong password and a locked account get the same answer after the same work.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from functools import cache
from typing import Final

import duckdb
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from kiemchung.errors import InputError
from kiemchung.store.rows import Account

ROLES: Final = ("reader", "reviewer", "adjudicator", "admin")
MIN_PASSWORD: Final = 10
MAX_PASSWORD: Final = 200  # longer ones would only cost hashing time
MAX_FAILURES: Final = 10
LOCK_TIME: Final = timedelta(minutes=15)
SESSION_TIME: Final = timedelta(hours=12)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
# No 0, 1, l, o: the one-time password is read from a terminal and typed.
_ALPHABET: Final = "23456789abcdefghijkmnpqrstuvwxyz"
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def one_time_password() -> str:
    """Return a fresh password of 80 bits in four groups."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def token_hash(token: str) -> str:
    """Return what is kept of a session token."""
    return hashlib.sha256(token.encode("utf-8")).hexdigest()


def hash_password(password: str) -> str:
    """Return the argon2id hash of ``password``."""
    return _HASHER.hash(password)


def matches(password: str, stored: str) -> bool:
    """Say whether ``password`` is the one hashed in ``stored``."""
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    """Return a hash that no password has, to spend on unknown names."""
    return hash_password(secrets.token_hex(32))


def check_name(name: str) -> str:
    """Return ``name``.

    Raises:
        InputError: it has other letters than a-z, digits, dot, dash and underscore.
    """
    if _NAME.fullmatch(name) is None:
        raise InputError(
            f"{name!r} is no account name",
            remedy="use 1 to 40 of a-z, 0-9, dot, dash and underscore",
        )
    return name


def find(cursor: duckdb.DuckDBPyConnection, name: str) -> Account | None:
    """Return the active account called ``name``."""
    row = cursor.execute(
        "SELECT account_key, name, role, must_change FROM account WHERE name = ? AND active", [name]
    ).fetchone()
    return (
        None if row is None else Account(key=row[0], name=row[1], role=row[2], must_change=row[3])
    )


def add(cursor: duckdb.DuckDBPyConnection, name: str, *, role: str, now: datetime) -> str:
    """Add an account and return its one-time password.

    Raises:
        InputError: the name is taken or no name, or there is no such role.
    """
    check_name(name)
    if role not in ROLES:
        raise InputError(f"no role {role!r}", remedy=f"known: {', '.join(ROLES)}")
    if cursor.execute("SELECT 1 FROM account WHERE name = ?", [name]).fetchone() is not None:
        raise InputError(
            f"the account {name!r} exists",
            remedy=f"choose another name, or `kiemchung user passwd {name}`",
        )
    password = one_time_password()
    cursor.execute(
        "INSERT INTO account SELECT coalesce(max(account_key), 0) + 1, ?, ?, ?, true, 0, NULL,"
        " true, ?, NULL FROM account",
        [name, role, hash_password(password), now],
    )
    return password


def reset(cursor: duckdb.DuckDBPyConnection, name: str, *, now: datetime) -> str:
    """Give ``name`` a new one-time password, unlock it and end its sessions.

    Raises:
        InputError: there is no such account.
    """
    account = find(cursor, name)
    if account is None:
        raise InputError(f"no account {name!r}", remedy="add it with `kiemchung user add`")
    password = one_time_password()
    cursor.execute(
        "UPDATE account SET password_hash = ?, must_change = true, failures = 0,"
        " locked_until = NULL WHERE account_key = ?",
        [hash_password(password), account.key],
    )
    revoke_all(cursor, account.key, now=now)
    return password


def change(
    cursor: duckdb.DuckDBPyConnection, account: Account, *, old: str, new: str, now: datetime
) -> str:
    """Set a password of the owner's choice; return why it was refused, or an empty string."""
    row = cursor.execute(
        "SELECT password_hash FROM account WHERE account_key = ?", [account.key]
    ).fetchone()
    if row is None or not matches(old[:MAX_PASSWORD], str(row[0])):
        return "wrong"
    if not MIN_PASSWORD <= len(new) <= MAX_PASSWORD:
        return "length"
    if new == old or new.casefold() == account.name:
        return "same"
    cursor.execute(
        "UPDATE account SET password_hash = ?, must_change = false, changed_at = ?"
        " WHERE account_key = ?",
        [hash_password(new), now, account.key],
    )
    revoke_all(cursor, account.key, now=now)
    return ""


def authenticate(
    cursor: duckdb.DuckDBPyConnection, name: str, password: str, *, now: datetime
) -> Account | None:
    """Return the account, or None whatever the reason is."""
    row = cursor.execute(
        "SELECT account_key, password_hash, failures, locked_until IS NOT NULL AND locked_until > ?"
        " FROM account WHERE name = ? AND active",
        [now, name],
    ).fetchone()
    right = matches(password[:MAX_PASSWORD], str(row[1]) if row else _nobody())
    if row is None:
        return None
    key, _, failures, locked = row
    if locked:
        return None
    if not right:
        over = int(failures) + 1 >= MAX_FAILURES
        cursor.execute(
            "UPDATE account SET failures = ?, locked_until = ? WHERE account_key = ?",
            [0 if over else int(failures) + 1, now + LOCK_TIME if over else None, key],
        )
        return None
    cursor.execute(
        "UPDATE account SET failures = 0, locked_until = NULL WHERE account_key = ?", [key]
    )
    return find(cursor, name)


def open_session(cursor: duckdb.DuckDBPyConnection, account: Account, *, now: datetime) -> str:
    """Return a new session token; the store keeps its hash only."""
    token = secrets.token_urlsafe(32)
    cursor.execute(
        "INSERT INTO session VALUES (?, ?, ?, ?, NULL)",
        [token_hash(token), account.key, now, now + SESSION_TIME],
    )
    return token


def session_account(
    cursor: duckdb.DuckDBPyConnection, token: str, *, now: datetime
) -> Account | None:
    """Return whose session ``token`` is, None when it has ended."""
    row = cursor.execute(
        "SELECT a.account_key, a.name, a.role, a.must_change FROM session AS s"
        " JOIN account AS a USING (account_key)"
        " WHERE s.token_sha256 = ? AND s.revoked_at IS NULL AND s.expires_at > ? AND a.active",
        [token_hash(token), now],
    ).fetchone()
    return (
        None if row is None else Account(key=row[0], name=row[1], role=row[2], must_change=row[3])
    )


def revoke(cursor: duckdb.DuckDBPyConnection, token: str, *, now: datetime) -> None:
    """End one session."""
    cursor.execute(
        "UPDATE session SET revoked_at = ? WHERE token_sha256 = ? AND revoked_at IS NULL",
        [now, token_hash(token)],
    )


def revoke_all(cursor: duckdb.DuckDBPyConnection, account_key: int, *, now: datetime) -> None:
    """End every session of an account."""
    cursor.execute(
        "UPDATE session SET revoked_at = ? WHERE account_key = ? AND revoked_at IS NULL",
        [now, account_key],
    )
