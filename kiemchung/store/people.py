"""Accounts, sessions and the audit trail of an open store.

What an administrator does is written down with before and after; what reviewers do is append-only
by itself, so the trail reads it where it lies instead of keeping it twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb

from kiemchung.domain import sha256_hex
from kiemchung.store import accounts, convert
from kiemchung.store.base import OpenFile
from kiemchung.store.connection import SideLock
from kiemchung.store.kept import Kept
from kiemchung.store.rows import Account

HIDDEN: Final = "hidden"
"""Stands for a conclusion that the one who asks must not know yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    """An account as an administrator sees it."""

    key: int
    name: str
    role: str
    active: bool
    must_change: bool
    locked: bool
    sessions: int  # that are open now
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One act: who, when, what, before, after."""

    noted_at: datetime
    who: str  # empty: the command line, the program itself, or nobody known
    action: str
    subject: str
    mention_key: int | None
    before: str
    after: str


_TRAIL: Final = """
WITH act AS (
    SELECT
        a.noted_at, a.account_key, a.action, a.subject, NULL::BIGINT AS mention_key,
        coalesce(c.before, '') AS before, coalesce(c.after, '') AS after, 0 AS kind,
        a.audit_key AS n
    FROM audit AS a
    LEFT JOIN audit_change AS c ON c.audit_key = a.audit_key
    UNION ALL
    SELECT
        r.created_at, r.account_key,
        CASE
            WHEN r.undoes IS NOT NULL THEN 'undone'
            WHEN j.review_key IS NOT NULL THEN 'adjudicated'
            WHEN r.decision = 'SKIPPED' THEN 'skipped'
            ELSE 'concluded'
        END,
        '', r.mention_key,
        CASE
            WHEN r.undoes IS NOT NULL THEN r.decision
            ELSE coalesce(lag(CASE WHEN r.undoes IS NULL THEN r.decision ELSE '' END) OVER (
                PARTITION BY r.mention_key, r.account_key ORDER BY r.review_key
            ), '')
        END,
        CASE
            WHEN r.undoes IS NOT NULL THEN ''
            WHEN j.review_key IS NOT NULL THEN r.decision || ' (' || j.cause || ')'
            ELSE r.decision
        END,
        1, r.review_key
    FROM review AS r
    LEFT JOIN adjudication AS j ON j.review_key = r.review_key
    UNION ALL
    SELECT
        o.reopened_at, o.account_key, o.cause, o.reason, o.mention_key, r.decision, '', 2,
        o.reopening_key
    FROM reopening AS o
    JOIN review AS r ON r.review_key = o.review_key
),
-- A second reviewer does not learn here what the first concluded.
veiled AS (
    SELECT s.mention_key
    FROM mention_standing AS s
    WHERE
        s.doubled AND s.conclusions < 2 AND s.adjudicated_by IS NULL
        AND NOT EXISTS (
            SELECT 1 FROM counting_review AS c
            WHERE
                c.mention_key = s.mention_key AND c.account_key = $viewer
                AND c.decision <> 'SKIPPED'
        )
)
SELECT
    t.noted_at, coalesce(a.name, '') AS who, t.action, coalesce(m.text, t.subject) AS subject,
    t.mention_key, t.before, t.after, v.mention_key IS NOT NULL AND t.kind > 0 AS hidden
FROM act AS t
LEFT JOIN account AS a ON a.account_key = t.account_key
LEFT JOIN mention AS m ON m.mention_key = t.mention_key
LEFT JOIN veiled AS v ON v.mention_key = t.mention_key
WHERE
    ($who IS NULL OR a.name = $who)
    AND ($action IS NULL OR t.action = $action)
    AND ($since IS NULL OR t.noted_at >= $since)
    AND ($until IS NULL OR t.noted_at < $until)
ORDER BY t.noted_at DESC, t.kind DESC, t.n DESC
LIMIT $most OFFSET $skip
"""


class People(OpenFile):
    """The part of the store that knows who may sign in and what was done."""

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection, lock: SideLock) -> None:
        super().__init__(path, connection, lock)
        self._sessions = Kept(1000)

    def add_user(self, name: str, *, role: str = "reviewer", by: Account | None = None) -> str:
        """Add an account and return its one-time password.

        Raises:
            InputError: the name is taken or no name, or there is no such role.
        """
        with self._changing_accounts() as cursor:
            password = accounts.add(cursor, name, role=role, now=datetime.now(UTC))
            self._note(cursor, by, "account added", name, after=role)
        return password

    def reset_password(self, name: str, *, by: Account | None = None) -> str:
        """Give an account a new one-time password and end its sessions.

        Raises:
            InputError: there is no such account.
        """
        with self._changing_accounts() as cursor:
            password = accounts.reset(cursor, name, now=datetime.now(UTC))
            self._note(cursor, by, "password reset", name)
        return password

    def set_role(self, name: str, role: str, *, by: Account | None = None) -> None:
        """Give an account another role; its sessions end, so that no page of the old one lives on.

        Raises:
            InputError: no such account or role, or it is the last administrator.
        """
        with self._changing_accounts() as cursor:
            before = accounts.set_role(cursor, name, role, now=datetime.now(UTC))
            if before != role:
                self._note(cursor, by, "role changed", name, before=before, after=role)

    def set_active(self, name: str, active: bool, *, by: Account | None = None) -> None:
        """Let an account sign in or not; sessions of a deactivated one end at once.

        Raises:
            InputError: no such account, or it is the last administrator.
        """
        with self._changing_accounts() as cursor:
            before = accounts.set_active(cursor, name, active, now=datetime.now(UTC))
            if before is not active:
                states = ("inactive", "active")
                self._note(
                    cursor, by, "account activated" if active else "account deactivated", name,
                    before=states[before], after=states[active],
                )  # fmt: skip

    def end_sessions(self, name: str, *, by: Account | None = None) -> None:
        """End all sessions of an account.

        Raises:
            InputError: there is no such account.
        """
        with self._changing_accounts() as cursor:
            key = accounts.key_of(cursor, name)
            accounts.revoke_all(cursor, key, now=datetime.now(UTC))
            self._note(cursor, by, "sessions ended", name)

    def users(self) -> list[UserRow]:
        """Return every account, deactivated ones too, by name."""
        now = datetime.now(UTC)
        rows = self._read(
            "SELECT a.account_key, a.name, a.role, a.active, a.must_change, a.created_at,"
            " coalesce(a.locked_until > ?, false) AS locked,"
            " (SELECT count(*) FROM session AS s WHERE s.account_key = a.account_key"
            "  AND s.revoked_at IS NULL AND s.expires_at > ?) AS sessions"
            " FROM account AS a ORDER BY a.name",
            [now, now],
        )
        return [
            UserRow(
                key=r["account_key"],
                name=r["name"],
                role=r["role"],
                active=r["active"],
                must_change=r["must_change"],
                locked=r["locked"],
                sessions=r["sessions"],
                created_at=r["created_at"].astimezone(UTC),
            )
            for r in rows
        ]

    def has_changed_password(self, name: str) -> bool:
        """Say whether the owner of ``name`` has chosen a password; False for no such account."""
        with self._cursor() as cursor:
            account = accounts.find(cursor, name)
        return account is not None and not account.must_change

    def set_demo_user(self, name: str) -> str:
        """Add ``name`` as a reviewer, or renew its one-time password, and return that."""
        with self._cursor() as cursor:
            known = accounts.find(cursor, name) is not None
        return self.reset_password(name) if known else self.add_user(name)

    def authenticate(self, name: str, password: str) -> Account | None:
        """Return the account, None for an unknown name, a wrong password or a locked account."""
        now = datetime.now(UTC)
        with self._cursor() as cursor:
            known = accounts.credentials(cursor, name)
        # Hashing takes tens of milliseconds on purpose: nobody's conclusion waits for it.
        right = accounts.right_password(known, password)
        with self._writing() as cursor:
            account = accounts.settle(cursor, known, right, now=now)
            if account is None:
                self._note(cursor, None, "sign-in refused", sha256_hex(name.encode())[:12])
        return account

    def open_session(self, account: Account) -> str:
        """Return a new session token for the browser."""
        with self._writing() as cursor:
            self._note(cursor, account, "signed in", account.name)
            return accounts.open_session(cursor, account, now=datetime.now(UTC))

    def session_account(self, token: str) -> Account | None:
        """Return whose session this is, None when it was ended or has run out."""
        now = datetime.now(UTC)
        found = self._sessions.get(accounts.token_hash(token), lambda: self._session(token))
        return found[0] if found is not None and found[1] > now else None

    def _session(self, token: str) -> tuple[Account, datetime] | None:
        with self._cursor() as cursor:
            return accounts.session_account(cursor, token)

    @contextmanager
    def _changing_accounts(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Write to accounts or sessions; what is kept of them counts no longer afterwards."""
        with self._writing() as cursor:
            yield cursor
        self._sessions.forget()

    def close_session(self, token: str) -> None:
        """End a session on the server; the cookie is worth nothing afterwards."""
        with self._changing_accounts() as cursor:
            accounts.revoke(cursor, token, now=datetime.now(UTC))

    def change_password(self, account: Account, *, old: str, new: str) -> str:
        """Set a password; return ``wrong``, ``length``, ``same`` or, when it is set, nothing."""
        with self._cursor() as cursor:
            known = accounts.credentials(cursor, account.name)
        refused = accounts.refusal(known, account.name, old=old, new=new)
        if not refused:
            hashed = accounts.hash_password(new)
            with self._changing_accounts() as cursor:
                accounts.set_password(cursor, account, hashed, now=datetime.now(UTC))
                self._note(cursor, account, "password changed", account.name)
        return refused

    def audit_trail(
        self,
        viewer: Account,
        *,
        who: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        most: int = 100,
        skip: int = 0,
    ) -> list[AuditRow]:
        """Return acts of people, latest first, filtered; ``until`` is the first moment left out.

        A conclusion that ``viewer`` must not know yet, because the second reviewer of a planned
        double review is still to come, reads `HIDDEN`.
        """
        with self._cursor() as cursor:
            rows = convert.records(
                cursor,
                _TRAIL,
                {
                    "viewer": viewer.key, "who": who, "action": action, "since": since,
                    "until": until, "most": most, "skip": skip,
                },
            )  # fmt: skip
        return [
            AuditRow(
                noted_at=r["noted_at"].astimezone(UTC),
                who=r["who"],
                action=r["action"],
                subject=r["subject"],
                mention_key=r["mention_key"],
                before=HIDDEN if r["hidden"] and r["before"] else r["before"],
                after=HIDDEN if r["hidden"] and r["after"] else r["after"],
            )
            for r in rows
        ]

    def note_recheck(self, version: str, opened: int, *, by: Account | None = None) -> None:
        """Write down that conclusions were held against a version of the reference base."""
        with self._writing() as cursor:
            self._note(cursor, by, "base rechecked", version, after=str(opened))

    def rechecked_version(self) -> str:
        """Return the version of the base at the last recheck, empty for never."""
        rows = self._read(
            "SELECT subject FROM audit WHERE action = 'base rechecked'"
            " ORDER BY audit_key DESC LIMIT 1"
        )
        return str(rows[0]["subject"]) if rows else ""

    @staticmethod
    def _note(
        cursor: duckdb.DuckDBPyConnection,
        by: Account | None,
        action: str,
        subject: str,
        *,
        before: str = "",
        after: str = "",
    ) -> None:
        (key,) = cursor.execute("SELECT coalesce(max(audit_key), 0) + 1 FROM audit").fetchone() or (
            1,
        )
        cursor.execute(
            "INSERT INTO audit VALUES (?, ?, ?, ?, ?)",
            [key, None if by is None else by.key, action, subject, datetime.now(UTC)],
        )
        if before or after:
            cursor.execute("INSERT INTO audit_change VALUES (?, ?, ?)", [key, before, after])
