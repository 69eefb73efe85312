"""Delivery over loopback: a mail that can be read, a signed webhook, retries, and no lost report."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kiemchung.config import Settings, load_settings
from kiemchung.errors import ConfigError, UnsafeAddressError
from kiemchung.store import Store, open_store
from kiemchung.store.inbox import write_batch
from pipeline import deliver as delivering
from pipeline.deliver import (
    LOG_NAME,
    alarms,
    deliver,
    deliveries,
    message,
    public_addresses,
    signature,
)
from pipeline.reporting import WrittenReport, after_merge, write_report
from tests.batches import batch
from tests.dashboards.conftest import OUTLETS

SECRET = "một bí mật đủ dài để ký"


class Mailbox(socketserver.ThreadingTCPServer):
    """A mail server that keeps what it is given and answers as it is told."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, answers: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.answers = answers  # to DATA's end, one for each try
        self.mails: list[bytes] = []
        self.recipients: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Talk(socketserver.StreamRequestHandler):
    server: Mailbox

    def say(self, text: str) -> None:
        self.wfile.write(text.encode("ascii") + b"\r\n")

    def handle(self) -> None:
        self.say("220 mail.example ready")
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                self.say("354 go on")
                lines = []
                while (got := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(got[1:] if got.startswith(b"..") else got)
                answer = self.server.answers.pop(0) if self.server.answers else "250 kept"
                if answer.startswith("2"):
                    self.server.mails.append(b"".join(lines))
                self.say(answer)
            elif word == b"QUIT":
                self.say("221 bye")
                return
            else:
                if word == b"RCPT":
                    self.server.recipients.append(line.decode().strip())
                self.say("250 fine")


class Hook(ThreadingHTTPServer):
    """A webhook that keeps what it is given and answers as it is told."""

    daemon_threads = True

    def __init__(self, answers: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answers = answers
        self.calls: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/nhan"


class _Answer(BaseHTTPRequestHandler):
    server: Hook
    headers_seen: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((dict(self.headers), body))
        status = self.server.answers.pop(0) if self.server.answers else 204
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:9/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def running(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def closed_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("deliver")
    with open_store(folder / "k.duckdb") as store:
        given = batch(quiet=3)
        # The outlets of the tests are those of the sample, whose report nobody waits for.
        real = replace(given, run=replace(given.run, outlets=("bao-thu",)))
        write_batch(folder / "inbox", real)
        store.merge_inbox(folder / "inbox")
        yield store


@pytest.fixture
def report(kept: Store, tmp_path: Path) -> WrittenReport:
    return write_report(kept, "2026-W40", load_settings(data_dir=tmp_path), outlet_names=OUTLETS)


def mailed(folder: Path, port: int, **more: Any) -> Settings:
    return load_settings(
        data_dir=folder,
        mail_host="127.0.0.1",
        mail_port=port,
        mail_security="none",
        mail_from="kiemchung@theodoi.example",
        mail_to=("a@bao.example", "b@bao.example"),
        **more,
    )


def hooked(folder: Path, url: str, **more: Any) -> Settings:
    facts = {"webhook_allow_private": True} | more
    return load_settings(data_dir=folder, webhook_url=url, webhook_secret=SECRET, **facts)


def test_the_files_lie_beside_one_another(report: WrittenReport) -> None:
    assert report.html.read_bytes() == report.page
    assert json.loads(report.json.read_text(encoding="utf-8")) == report.facts
    assert report.facts["format"] == "kiemchung-report/1"
    assert report.feed.name == "feed.xml"
    assert {p.parent for p in (report.json, report.feed)} == {report.html.parent}


def test_a_mail_arrives_with_page_and_json_and_once(report: WrittenReport, tmp_path: Path) -> None:
    with running(Mailbox([])) as box:
        settings = mailed(tmp_path, box.port)
        (made,) = deliver(report, settings)
        assert (made.done, made.tries, made.channel) == (True, 1, "mail")
        assert deliver(report, settings) == []  # the same report again: nothing
        (again,) = deliver(report, settings, again=True)
        assert again.done
        changed = replace(report, facts=report.facts | {"week": "x"})
        assert len(deliver(changed, settings)) == 1
    assert len(box.mails) == 3
    assert len(box.recipients) == 6
    mail = email.message_from_bytes(box.mails[0], policy=email.policy.default)
    assert mail["Subject"] == "Báo cáo tuần 2026-W40"
    text = mail.get_body(("plain",))
    assert text is not None
    assert "Khẳng định khác nhau cần xem lại: 2" in text.get_content()
    assert "không phải kết luận" in text.get_content()
    parts = {p.get_filename(): p.get_payload(decode=True) for p in mail.iter_attachments()}
    assert parts["2026-W40.html"] == report.page
    assert json.loads(parts["2026-W40.json"]) == report.facts
    first, second, _ = (email.message_from_bytes(m) for m in box.mails)
    assert first["Message-ID"] == second["Message-ID"]  # a repeat is shown once


def test_a_mail_is_tried_again_when_that_can_help(report: WrittenReport, tmp_path: Path) -> None:
    pauses: list[float] = []
    with running(Mailbox(["451 later", "452 full"])) as box:
        (made,) = deliver(report, mailed(tmp_path, box.port), pause=pauses.append)
    assert (made.done, made.tries, len(box.mails)) == (True, 3, 1)
    assert pauses == [1.0, 5.0]


def test_a_mail_that_is_refused_for_good_is_an_alarm_and_no_lost_report(
    report: WrittenReport, tmp_path: Path
) -> None:
    with running(Mailbox(["554 no"])) as box:
        settings = mailed(tmp_path, box.port)
        (made,) = deliver(report, settings, pause=lambda _: None)
    assert (made.done, made.tries) == (False, 1)
    assert alarms([made]) == ["report not delivered by mail after 1 tries: answer 554"]
    assert report.html.is_file()
    (logged,) = deliveries(tmp_path / "reports" / LOG_NAME)
    assert logged == made
    with running(Mailbox([])) as box:  # it was not delivered, so the next call tries again
        (made,) = deliver(report, mailed(tmp_path, box.port))
    assert made.done


def test_nobody_listening_is_tried_three_times(report: WrittenReport, tmp_path: Path) -> None:
    (made,) = deliver(report, mailed(tmp_path, closed_port()), pause=lambda _: None)
    assert (made.done, made.tries) == (False, 3)
    assert "Refused" in made.detail


def test_a_server_without_encryption_gets_nothing_where_it_is_asked_for(
    report: WrittenReport, tmp_path: Path
) -> None:
    with running(Mailbox([])) as box:
        settings = mailed(tmp_path, box.port)
        strict = settings.model_copy(update={"mail_security": "starttls"})
        (made,) = deliver(report, strict, pause=lambda _: None)
    assert not made.done
    assert box.mails == []


def test_a_webhook_is_signed_over_time_and_body(report: WrittenReport, tmp_path: Path) -> None:
    with running(Hook([])) as hook:
        (made,) = deliver(report, hooked(tmp_path, hook.url))
    assert made.done
    ((headers, body),) = hook.calls
    parts = dict(p.split("=", 1) for p in headers["Kiemchung-Signature"].split(","))
    assert parts["v1"] == signature(SECRET, int(parts["t"]), body)
    assert parts["v1"] != signature(SECRET, int(parts["t"]) + 1, body)
    assert parts["v1"] != signature(SECRET, int(parts["t"]), body + b" ")
    assert parts["v1"] != signature(SECRET + "x", int(parts["t"]), body)
    sent = json.loads(body)
    assert (sent["event"], sent["id"]) == ("weekly_report", headers["Kiemchung-Delivery"])
    assert sent["report"] == report.facts


def test_a_signature_is_the_published_one() -> None:
    # Worked out with `printf '1700000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef`.
    assert signature("0123456789abcdef", 1_700_000_000, b"{}") == OPENSSL


OPENSSL = "e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e"


@pytest.mark.parametrize(
    ("answers", "done", "tries"),
    [([503, 429], True, 3), ([500, 500, 500], False, 3), ([404], False, 1), ([302], False, 1)],
)
def test_a_webhook_is_tried_again_when_that_can_help(
    report: WrittenReport, tmp_path: Path, answers: list[int], done: bool, tries: int
) -> None:
    with running(Hook(list(answers))) as hook:
        (made,) = deliver(report, hooked(tmp_path, hook.url), pause=lambda _: None)
    assert (made.done, made.tries, len(hook.calls)) == (done, tries, tries)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.0.0.1", "169.254.1.1", "[::1]", "2130706433", "0x7f000001",
     "127.1", "[::ffff:127.0.0.1]", "0.0.0.0"],
)  # fmt: skip
def test_a_webhook_never_goes_to_a_private_address_unasked(
    report: WrittenReport, tmp_path: Path, host: str
) -> None:
    with running(Hook([])) as hook:
        url = f"http://{host}:{hook.server_address[1]}/"
        settings = hooked(tmp_path, url, webhook_allow_private=False)
        (made,) = deliver(report, settings, pause=lambda _: None)
    assert not made.done
    assert hook.calls == []
    assert made.tries == 1 or "gaierror" in made.detail


def test_a_name_that_changes_its_address_after_the_check_is_not_asked_again(
    report: WrittenReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int, **_: object) -> list[Any]:
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    went: list[Any] = []

    def connect(address: Any, *_: object, **__: object) -> Any:
        went.append(address)
        raise ConnectionRefusedError("not in a test")

    monkeypatch.setattr(delivering.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(delivering.socket, "create_connection", connect)
    monkeypatch.setattr(delivering, "TRIES", 1)
    settings = hooked(tmp_path, "http://rebind.example/", webhook_allow_private=False)
    (made,) = deliver(report, settings, pause=lambda _: None)
    assert not made.done
    assert went == [("93.184.216.34", 80)]
    with pytest.raises(UnsafeAddressError, match=r"127\.0\.0\.1"):
        public_addresses("rebind.example", 80, allow_private=False)


def test_header_lines_cannot_be_smuggled_in(report: WrittenReport, tmp_path: Path) -> None:
    for name, value in (
        ("mail_from", "a@b.example\nBcc: c@d.example"),
        ("mail_to", ("a@b.example, c@d.example",)),
    ):
        facts: dict[str, Any] = {
            "mail_host": "127.0.0.1",
            "mail_from": "a@b.example",
            "mail_to": ("a@b.example",),
        } | {name: value}
        with pytest.raises(ConfigError, match="mail"):
            load_settings(data_dir=tmp_path, **facts)
    with pytest.raises(ValueError, match=r"newline|linefeed"):
        message(replace(report, week="x\nBcc: c@d.example"), mailed(tmp_path, 1), "c" * 64)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"mail_host": "mail.example"}, "mail_from"),
        ({"webhook_url": "https://a.example/"}, "webhook_secret"),
        ({"webhook_url": "ftp://a.example/", "webhook_secret": SECRET}, "webhook_url"),
        ({"webhook_url": "https://u:p@a.example/", "webhook_secret": SECRET}, "webhook_url"),
        ({"webhook_secret": "short"}, "16"),
        ({"mail_security": "perhaps"}, "mail_security"),
    ],
)
def test_half_a_delivery_is_refused_at_the_start(facts: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_settings(**facts)


def test_secrets_are_not_shown_and_delivery_changes_no_run(tmp_path: Path) -> None:
    plain = load_settings(data_dir=tmp_path)
    set_ = hooked(tmp_path, "https://a.example/x")
    assert SECRET not in repr(set_)
    assert SECRET not in str(set_.model_dump(mode="json"))
    assert plain.sha256() == set_.sha256() == mailed(tmp_path, 5).sha256()


def test_the_server_writes_and_delivers_what_it_merged(kept: Store, tmp_path: Path) -> None:
    (run,) = kept.runs()
    with running(Hook([])) as hook:
        settings = hooked(tmp_path, hook.url)
        after_merge(kept, [run.run_id], settings, outlet_names=OUTLETS)
        after_merge(kept, ["another"], settings, outlet_names=OUTLETS)
    assert (tmp_path / "reports" / "2026-W40.html").is_file()
    assert len(hook.calls) == 1


def test_a_log_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    log = tmp_path / LOG_NAME
    assert deliveries(log) == []
    good = {"at": "x", "week": "w", "channel": "mail", "content": "c", "done": True, "tries": 1}
    log.write_text(json.dumps(good | {"detail": ""}) + '\n{"at": "x", "we', encoding="utf-8")
    assert [d.week for d in deliveries(log)] == ["w"]
