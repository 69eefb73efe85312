"""Local accounts: argon2id, one-time passwords, a lock after ten failures, sessions on the server.

An unknown name, a wrong password and a locked account get the same answer after the same work.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
# A hash takes 19 MB on purpose; many sign-ins at once must not take many times that.
_HASHING: Final = threading.Semaphore(2)
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def one_time_password() -> str:
    """Return a fresh password of 80 bits in four groups."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def token_hash(token: str) -> str:
    """Return what is kept of a session token."""
    return hashlib.sha256(token.encode("utf-8")).hexdigest()


def hash_password(password: str) -> str:
    """Return the argon2id hash of ``password``."""
    with _HASHING:
        return _HASHER.hash(password)


def matches(password: str, stored: str) -> bool:
    """Say whether ``password`` is the one hashed in ``stored``."""
    try:
        with _HASHING:
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


def key_of(cursor: duckdb.DuckDBPyConnection, name: str) -> int:
    """Return the key of an account, deactivated or not.

    Raises:
        InputError: there is no such account.
    """
    row = cursor.execute("SELECT account_key FROM account WHERE name = ?", [name]).fetchone()
    if row is None:
        raise InputError(f"no account {name!r}", remedy="add it with `kiemchung user add`")
    return int(row[0])


def _keep_an_admin(cursor: duckdb.DuckDBPyConnection, key: int) -> None:
    row = cursor.execute(
        "SELECT 1 FROM account WHERE role = 'admin' AND active AND account_key <> ?", [key]
    ).fetchone()
    if row is None:
        raise InputError("this is the last administrator", remedy="make another one first")


def set_role(cursor: duckdb.DuckDBPyConnection, name: str, role: str, *, now: datetime) -> str:
    """Give ``name`` another role, end its sessions, and return the role before.

    Raises:
        InputError: no such account or role, or it is the last administrator.
    """
    if role not in ROLES:
        raise InputError(f"no role {role!r}", remedy=f"known: {', '.join(ROLES)}")
    key = key_of(cursor, name)
    (before, active) = cursor.execute(
        "SELECT role, active FROM account WHERE account_key = ?", [key]
    ).fetchone() or ("", False)
    if before != role:
        if before == "admin" and active:
            _keep_an_admin(cursor, key)
        cursor.execute("UPDATE account SET role = ? WHERE account_key = ?", [role, key])
        revoke_all(cursor, key, now=now)
    return str(before)


def set_active(
    cursor: duckdb.DuckDBPyConnection, name: str, active: bool, *, now: datetime
) -> bool:
    """Let ``name`` sign in or not, end the sessions of a deactivated one, return what was before.

    Raises:
        InputError: no such account, or it is the last administrator.
    """
    key = key_of(cursor, name)
    (before, role) = cursor.execute(
        "SELECT active, role FROM account WHERE account_key = ?", [key]
    ).fetchone() or (False, "")
    if bool(before) is not active:
        if not active and role == "admin":
            _keep_an_admin(cursor, key)
        cursor.execute("UPDATE account SET active = ? WHERE account_key = ?", [active, key])
        if not active:
            revoke_all(cursor, key, now=now)
    return bool(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What is kept of an active account's password."""

    key: int
    password_hash: str


def credentials(cursor: duckdb.DuckDBPyConnection, name: str) -> Credentials | None:
    """Return what a password is compared with, None for no active account of this name."""
    row = cursor.execute(
        "SELECT account_key, password_hash FROM account WHERE name = ? AND active", [name]
    ).fetchone()
    return None if row is None else Credentials(key=int(row[0]), password_hash=str(row[1]))


def right_password(known: Credentials | None, password: str) -> bool:
    """Compare; an unknown name costs the same time."""
    stored = _nobody() if known is None else known.password_hash
    return matches(password[:MAX_PASSWORD], stored) and known is not None


def refusal(known: Credentials | None, name: str, *, old: str, new: str) -> str:
    """Return why a new password is refused, or an empty string."""
    if not right_password(known, old):
        return "wrong"
    if not MIN_PASSWORD <= len(new) <= MAX_PASSWORD:
        return "length"
    if new == old or new.casefold() == name:
        return "same"
    return ""


def set_password(
    cursor: duckdb.DuckDBPyConnection, account: Account, hashed: str, *, now: datetime
) -> None:
    """Set a password of the owner's choice and end every session of the account."""
    cursor.execute(
        "UPDATE account SET password_hash = ?, must_change = false, changed_at = ?"
        " WHERE account_key = ?",
        [hashed, now, account.key],
    )
    revoke_all(cursor, account.key, now=now)


def settle(
    cursor: duckdb.DuckDBPyConnection, known: Credentials | None, right: bool, *, now: datetime
) -> Account | None:
    """Count a failure or clear the count; return the account, or None whatever the reason is."""
    if known is None:
        return None
    row = cursor.execute(
        "SELECT name, failures, locked_until IS NOT NULL AND locked_until > ? FROM account"
        # Between reading and now the account may have been closed or its password renewed.
        " WHERE account_key = ? AND active AND password_hash = ?",
        [now, known.key, known.password_hash],
    ).fetchone()
    if row is None or row[2]:
        return None
    name, failures, _ = row
    if not right:
        over = int(failures) + 1 >= MAX_FAILURES
        cursor.execute(
            "UPDATE account SET failures = ?, locked_until = ? WHERE account_key = ?",
            [0 if over else int(failures) + 1, now + LOCK_TIME if over else None, known.key],
        )
        return None
    cursor.execute(
        "UPDATE account SET failures = 0, locked_until = NULL WHERE account_key = ?", [known.key]
    )
    return find(cursor, str(name))


def authenticate(
    cursor: duckdb.DuckDBPyConnection, name: str, password: str, *, now: datetime
) -> Account | None:
    """Return the account, or None whatever the reason is, in one go."""
    known = credentials(cursor, name)
    return settle(cursor, known, right_password(known, password), now=now)


def open_session(cursor: duckdb.DuckDBPyConnection, account: Account, *, now: datetime) -> str:
    """Return a new session token; the store keeps its hash only."""
    token = secrets.token_urlsafe(32)
    cursor.execute(
        "INSERT INTO session VALUES (?, ?, ?, ?, NULL)",
        [token_hash(token), account.key, now, now + SESSION_TIME],
    )
    return token


def session_account(
    cursor: duckdb.DuckDBPyConnection, token: str
) -> tuple[Account, datetime] | None:
    """Return whose session ``token`` is and when it runs out, None when it was ended."""
    session = cursor.execute(
        "SELECT account_key, epoch_us(expires_at) FROM session"
        " WHERE token_sha256 = ? AND revoked_at IS NULL",
        [token_hash(token)],
    ).fetchone()
    if session is None:
        return None
    row = cursor.execute(
        "SELECT account_key, name, role, must_change FROM account WHERE account_key = ? AND active",
        [session[0]],
    ).fetchone()
    if row is None:
        return None
    account = Account(key=row[0], name=row[1], role=row[2], must_change=row[3])
    return account, datetime.fromtimestamp(session[1] / 1e6, tz=UTC)


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
