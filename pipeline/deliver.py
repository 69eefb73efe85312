"""The weekly report by mail and by webhook, where the settings ask for it.

A report lies on disk before anything is sent, so a delivery that fails is an alarm and never a lost
report. What was delivered is written down by content: the same report is not sent twice, a changed
one is. The webhook goes to public addresses only, checked on the address that is connected to, and
carries a signature over time and body.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from kiemchung import __version__
from kiemchung.config import Settings
from kiemchung.errors import UnsafeAddressError
from pipeline.reporting import WrittenReport

TRIES: Final = 3
PAUSES: Final = (1.0, 5.0)  # seconds before the second and the third try
TIMEOUT: Final = 15.0
LOG_NAME: Final = "deliveries.jsonl"


class DeliveryError(Exception):
    """A try that failed; ``again`` says whether another one can help."""

    def __init__(self, message: str, *, again: bool) -> None:
        super().__init__(message)
        self.again = again


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How one channel went."""

    at: str
    week: str
    channel: str  # mail or webhook
    content: str  # SHA-256 of page and facts
    done: bool
    tries: int
    detail: str


def deliver(
    report: WrittenReport,
    settings: Settings,
    *,
    again: bool = False,
    pause: Callable[[float], None] = time.sleep,
) -> list[Delivery]:
    """Send ``report`` by every channel that is set, and write down how it went.

    What was delivered with the same content before is left alone, unless ``again``.
    """
    channels: dict[str, Callable[[WrittenReport, Settings, str], None]] = {}
    if settings.mail_host:
        channels["mail"] = _mail
    if settings.webhook_url:
        channels["webhook"] = _webhook
    content = hashlib.sha256(
        report.page + json.dumps(report.facts, sort_keys=True, ensure_ascii=False).encode("utf-8")
    ).hexdigest()
    log = settings.data_dir / "reports" / LOG_NAME
    known = {(d.channel, d.content) for d in deliveries(log) if d.done}
    made = []
    for channel, send in channels.items():
        if (channel, content) in known and not again:
            continue
        tries, detail, done = _try(lambda s=send: s(report, settings, content), pause)  # type: ignore[misc]
        made.append(
            Delivery(
                at=datetime.now(UTC).isoformat(timespec="seconds"),
                week=report.week,
                channel=channel,
                content=content,
                done=done,
                tries=tries,
                detail=detail,
            )
        )
    if made:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(asdict(d), ensure_ascii=False) + "\n" for d in made)
    return made


def deliveries(log: Path) -> list[Delivery]:
    """Return what the log holds; a line cut short by a crash is left out."""
    if not log.is_file():
        return []
    found = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            found.append(Delivery(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return found


def alarms(made: list[Delivery]) -> list[str]:
    """Return a line for every channel that failed."""
    return [
        f"report not delivered by {d.channel} after {d.tries} tries: {d.detail}"
        for d in made
        if not d.done
    ]


def _try(send: Callable[[], None], pause: Callable[[float], None]) -> tuple[int, str, bool]:
    detail = ""
    for number in range(1, TRIES + 1):
        try:
            send()
        except DeliveryError as error:
            detail = str(error)
            if not error.again or number == TRIES:
                return number, detail, False
            pause(PAUSES[number - 1])
        else:
            return number, "", True
    raise AssertionError("unreachable")


# -- mail ------------------------------------------------------------------------------------


def message(report: WrittenReport, settings: Settings, content: str) -> EmailMessage:
    """Return the mail: the sums as plain text, page and JSON attached."""
    mail = EmailMessage()
    mail["Subject"] = f"Báo cáo tuần {report.week}"
    mail["From"] = settings.mail_from
    mail["To"] = ", ".join(settings.mail_to)
    mail["Date"] = format_datetime(datetime.now(UTC))
    # The same for a repeat of the same content, so that a mail program shows it once.
    mail["Message-ID"] = f"<{report.week}.{content[:24]}@{settings.mail_from.partition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_text(report.facts, settings))
    mail.add_attachment(
        report.page, maintype="text", subtype="html", filename=f"{report.week}.html"
    )
    mail.add_attachment(
        json.dumps(report.facts, ensure_ascii=False, indent=1).encode("utf-8"),
        maintype="application",
        subtype="json",
        filename=f"{report.week}.json",
    )
    return mail


def _text(facts: dict[str, Any], settings: Settings) -> str:
    stories, claims, wrong = facts["stories"], facts["claims"], facts["wrong"]
    lines = [
        f"Báo cáo tuần {facts['week']} ({facts['first_day']} đến {facts['last_day']})",
        "",
        f"Câu chuyện về hợp tác xã: {stories['about_cooperatives']}",
        f"trong đó có khẳng định cần xem lại: {stories['with_flags']}",
        f"Khẳng định khác nhau cần xem lại: {claims['flagged']}",
        f"Đính chính đã trả lời: {len(wrong['corrections'])}, đang chờ: {wrong['open_requests']}",
        "",
        facts["note"],
        "",
        "Trang đầy đủ và bản JSON ở tệp đính kèm.",
    ]
    if settings.public_url:
        lines.append(f"{settings.public_url.rstrip('/')}/{facts['week']}.html")
    for run in facts["runs"]:
        lines += [f"Cảnh báo: {alarm}" for alarm in run["alarms"]]
    return "\n".join(lines) + "\n"


def _mail(report: WrittenReport, settings: Settings, content: str) -> None:
    mail = message(report, settings, content)
    context = ssl.create_default_context()
    try:
        if settings.mail_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.mail_host, settings.mail_port, timeout=TIMEOUT, context=context
            )
        else:
            server = smtplib.SMTP(settings.mail_host, settings.mail_port, timeout=TIMEOUT)
        with server:
            if settings.mail_security == "starttls":
                server.starttls(context=context)
            if settings.mail_user:
                server.login(settings.mail_user, settings.mail_password.get_secret_value())
            refused = server.send_message(mail)
    except smtplib.SMTPAuthenticationError as error:
        raise DeliveryError(f"sign-in refused ({error.smtp_code})", again=False) from error
    except smtplib.SMTPNotSupportedError as error:
        raise DeliveryError(str(error), again=False) from error
    except smtplib.SMTPRecipientsRefused as error:
        codes = {code for code, _ in error.recipients.values()}
        raise DeliveryError(
            f"all recipients refused ({', '.join(map(str, sorted(codes)))})",
            again=all(400 <= code < 500 for code in codes),
        ) from error
    except smtplib.SMTPResponseException as error:
        raise DeliveryError(
            f"answer {error.smtp_code}", again=400 <= error.smtp_code < 500
        ) from error
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryError(f"{type(error).__name__}: {error}", again=True) from error
    if refused:
        raise DeliveryError(f"{len(refused)} of the recipients refused", again=False)


# -- webhook ---------------------------------------------------------------------------------


def signature(secret: str, moment: int, body: bytes) -> str:
    """Return what the receiver works out again: HMAC-SHA256 over ``<seconds>.<body>``."""
    signed = str(moment).encode("ascii") + b"." + body
    return hmac.new(secret.encode("utf-8"), signed, hashlib.sha256).hexdigest()


def public_addresses(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return the addresses of ``host``.

    Raises:
        UnsafeAddressError: one of them is no public address, and private ones are not allowed.
        OSError: the name cannot be resolved.
    """
    from crawler.guard import is_public

    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]).split("%")[0] for entry in found))
    if not allow_private:
        for address in addresses:
            if not is_public(ipaddress.ip_address(address)):
                raise UnsafeAddressError(
                    f"{address} is not public",
                    where=host,
                    remedy="set webhook_allow_private if it is an own network",
                )
    return addresses


class _Checked(http.client.HTTPConnection):
    """Connects to an address that was checked, whatever the name says a moment later."""

    def __init__(self, host: str, port: int, address: str, *, secure: bool) -> None:
        super().__init__(host, port, timeout=TIMEOUT)
        self._address, self._secure = address, secure

    def connect(self) -> None:
        """Open the connection, with the name checked against the certificate where secure."""
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._secure:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


def _webhook(report: WrittenReport, settings: Settings, content: str) -> None:
    parts = urlsplit(settings.webhook_url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    body = json.dumps(
        {"event": "weekly_report", "id": content, "report": report.facts}, ensure_ascii=False
    ).encode("utf-8")
    moment = int(time.time())
    secret = settings.webhook_secret.get_secret_value()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": f"kiemchung/{__version__}",
        "Kiemchung-Delivery": content,
        "Kiemchung-Signature": f"t={moment},v1={signature(secret, moment, body)}",
    }
    try:
        address = public_addresses(host, port, allow_private=settings.webhook_allow_private)[0]
        connection = _Checked(host, port, address, secure=secure)
        try:
            connection.request("POST", parts.path or "/", body, headers)
            status = connection.getresponse().status
        finally:
            connection.close()
    except UnsafeAddressError as error:
        raise DeliveryError(str(error), again=False) from error
    except (OSError, http.client.HTTPException) as error:
        raise DeliveryError(f"{type(error).__name__}: {error}", again=True) from error
    if not 200 <= status < 300:  # a redirect is not followed: it would go to an unchecked address
        raise DeliveryError(f"answer {status}", again=status in (408, 425, 429) or status >= 500)
