"""Connect-time refusal: names that resolve to private addresses, IPv6, proxies, TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scrapy import Request
from twisted.internet.address import IPv4Address, IPv6Address

from crawler.guard import GuardedResolver, is_public, permitted
from crawler.middlewares import Refused, ScopeMiddleware


class Names:
    """Stands in for the system's resolver and says what a test wants it to."""

    def __init__(self, *found: str) -> None:
        self.found = found

    def resolveHostName(self, receiver: Any, name: str, port: int, *_: Any) -> Any:
        receiver.resolutionBegan(SimpleNamespace(name=name))
        for address in self.found:
            made = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(made("TCP", address, port))
        receiver.resolutionComplete()
        return receiver


class Heard:
    """Takes down what comes out."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.complete = False

    def resolutionBegan(self, resolution: Any) -> None:
        return

    def addressResolved(self, address: Any) -> None:
        self.addresses.append(address.host)

    def resolutionComplete(self) -> None:
        self.complete = True


def resolve(name: str, *found: str, allowed: tuple[str, ...] = ()) -> tuple[list[str], set[str]]:
    resolver = GuardedResolver(SimpleNamespace(nameResolver=Names(*found)), 0)
    resolver.allowed = allowed
    heard = Heard()
    resolver.resolveHostName(heard, name, 80)  # type: ignore[arg-type]
    assert heard.complete
    return heard.addresses, resolver.unsafe


@pytest.mark.parametrize(
    "found",
    [("127.0.0.1",), ("10.0.0.1",), ("::1",), ("fe80::1",), ("::ffff:10.0.0.1",), ("fd00::1",),
     ("169.254.169.254",), ("8.8.8.8", "10.0.0.1"), ("2606:4700::1111", "::1")],
)  # fmt: skip
def test_a_name_with_a_private_address_gives_none(found: tuple[str, ...]) -> None:
    assert resolve("bao.example.vn", *found) == ([], {"bao.example.vn"})


def test_public_names_pass_in_both_families_and_unknown_ones_are_not_unsafe() -> None:
    both = ("8.8.8.8", "2606:4700::1111")
    assert resolve("bao.vn", *both) == (list(both), set())
    assert resolve("no-such.vn") == ([], set())
    assert resolve("bao.vn", "127.0.0.5", allowed=("127.0.0.5",)) == (["127.0.0.5"], set())


@pytest.mark.parametrize("literal", ["127.0.0.1", "::1", "2130706433", "0x7f000001", "127.1"])
def test_a_literal_never_reaches_the_systems_resolver(literal: str) -> None:
    assert resolve(literal, "8.8.8.8") == ([], {literal})


def test_a_name_that_turns_private_is_refused_at_its_second_look_up() -> None:
    assert resolve("bao.vn", "8.8.8.8")[0] == ["8.8.8.8"]
    assert resolve("bao.vn", "127.0.0.1") == ([], {"bao.vn"})


@given(st.integers(0, 2**32 - 1))
def test_an_embedded_address_is_as_public_as_the_one_within(number: int) -> None:
    inner = ipaddress.IPv4Address(number)
    for prefix in ("::ffff:", "64:ff9b::"):
        assert is_public(ipaddress.IPv6Address(f"{prefix}{inner}")) == is_public(inner)
    assert permitted(str(number), ()) == is_public(inner)


def test_behind_a_proxy_the_name_is_looked_up_here_first(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"good.vn": "8.8.8.8", "evil.vn": "10.0.0.7"}

    async def look_up(self: Any, host: str, *_: Any, **__: Any) -> Any:
        if host not in answers:
            raise OSError
        return [(2, 1, 6, "", (answers[host], 0))]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", look_up)
    scope = ScopeMiddleware(
        frozenset({"good.vn", "evil.vn", "unknown.vn", "a.example"}), "http://127.0.0.1:9", (),
        "http://proxy.local:3128",
    )  # fmt: skip

    def proxy(url: str) -> str | None:
        request = Request(url, meta={"proxy": "http://somebody.else"})
        asyncio.run(scope.process_request(request))
        return request.meta.get("proxy")

    assert proxy("https://good.vn/a") == "http://proxy.local:3128"
    assert proxy("https://unknown.vn/a") == "http://proxy.local:3128"  # only the proxy knows it
    assert proxy("http://a.example/a") == "http://127.0.0.1:9"
    for url in ("https://evil.vn/a", "http://10.0.0.1/a", "http://[::1]/", "http://other.vn/"):
        with pytest.raises(Refused):
            proxy(url)


# -- TLS and IPv6 over real connections --------------------------------------------------------


def certificate(folder: Path, address: str) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, secret


FEED = b"<rss><channel><item><link>http://other.example/1</link></item></channel></rss>"


def serve(listener: socket.socket, context: ssl.SSLContext | None, asked: list[bytes]) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        try:
            s = context.wrap_socket(plain, server_side=True) if context else plain
            head = s.recv(65_536)
            asked.append(head.split(b" ")[1])
            status = b"404 No" if b"robots" in head else b"200 OK"
            s.sendall(
                b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
                % (status, len(FEED)) + FEED
            )  # fmt: skip
            s.close()
        except OSError:  # a client that does not trust us hangs up
            plain.close()


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[int, Path, list[bytes]]]:
    pem, secret = certificate(tmp_path, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    asked: list[bytes] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        threading.Thread(target=serve, args=(listener, context, asked), daemon=True).start()
        yield listener.getsockname()[1], pem, asked


CRAWL = """
import sys, json
from pathlib import Path
from crawler.outlets import Outlet
from crawler.run import crawl
from kiemchung.config import load_settings
folder, url, host = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
done = crawl([Outlet(name='a', display='A', hosts=(host,), feeds=(url,), delay=0.0)],
             data_dir=folder, run_id='2026-W40-x', allowed_addresses=[sys.argv[4]],
             settings=load_settings(data_dir=folder, timeout_seconds=5))
print(json.dumps([[f.state, f.reason] for f in done.feeds]))
"""


def crawled(folder: Path, url: str, host: str, allowed: str, **environment: str) -> str:
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", CRAWL, str(folder), url, host, allowed],
        env=os.environ | {"PYTHONPATH": root} | environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return done.stdout.strip()


@pytest.mark.slow
def test_a_certificate_that_nobody_vouches_for_is_refused(
    tmp_path: Path, secure: tuple[int, Path, list[bytes]]
) -> None:
    port, pem, asked = secure
    url = f"https://127.0.0.1:{port}/rss"
    (tmp_path / "a").mkdir()
    first = crawled(tmp_path / "a", url, "127.0.0.1", "127.0.0.1")
    assert first == '[["refused", "robots_unreachable"]]'
    assert asked == []
    (tmp_path / "b").mkdir()
    second = crawled(tmp_path / "b", url, "127.0.0.1", "127.0.0.1", SSL_CERT_FILE=str(pem))
    assert second == '[["fetched", ""]]'
    assert asked == [b"/robots.txt", b"/rss"]


@pytest.mark.slow
def test_an_ipv6_host_is_reached_when_permitted_and_only_then(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    asked: list[bytes] = []
    with socket.socket(socket.AF_INET6) as listener:
        try:
            listener.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 loopback here")
        listener.listen()
        threading.Thread(target=serve, args=(listener, None, asked), daemon=True).start()
        url = f"http://[::1]:{listener.getsockname()[1]}/rss"
        (tmp_path / "a").mkdir()
        assert crawled(tmp_path / "a", url, "::1", "192.0.2.1") == '[["refused", "unsafe_address"]]'
        assert asked == []
        (tmp_path / "b").mkdir()
        assert crawled(tmp_path / "b", url, "::1", "::1") == '[["fetched", ""]]'
        assert asked == [b"/robots.txt", b"/rss"]


@pytest.mark.slow
def test_a_name_of_this_machine_is_unsafe_by_name(tmp_path: Path) -> None:
    """``localhost`` resolves to loopback: refused when connecting, and named so."""
    asked: list[bytes] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        threading.Thread(target=serve, args=(listener, None, asked), daemon=True).start()
        url = f"http://localhost:{listener.getsockname()[1]}/rss"
        found = crawled(tmp_path, url, "localhost", "192.0.2.1")
    assert found == '[["refused", "robots_unreachable"]]'
    assert asked == []
