"""What our crawl costs against bare Scrapy: CPU a page, event-loop lag, memory.

    python benchmarks/crawl.py [--pages 1000] [--kilobytes 170] [--rounds 3]

Both fetch the same pages from one loopback server in turns, sixteen hosts of one connection each,
delay 0. Bare Scrapy throws the bodies away; ours keeps ledger and archive, checks robots.txt, and
an extraction of already fetched pages runs beside it in another process. Medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HOSTS = [f"127.0.0.{n}" for n in range(1, 17)]
RUN = "2026-W40-speed"

SERVER = """
import asyncio, sys
pages, body = int(sys.argv[1]), open(sys.argv[2], 'rb').read()
async def answer(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b'\\r\\n\\r\\n')
            path = head.split(b' ')[1].decode()
            status, kind, data = '200 OK', 'text/html; charset=utf-8', body
            if path.startswith('/rss'):
                n = int(path[4:]); host = f'127.0.0.{n + 1}:{port}'
                data = ('<rss><channel>' + ''.join(
                    f'<item><link>http://{host}/a{k}</link></item>'
                    for k in range(n, pages, 16)) + '</channel></rss>').encode()
                kind = 'text/xml'
            elif path == '/robots.txt':
                status, data = '404 Not Found', b''
            writer.write(f'HTTP/1.1 {status}\\r\\nContent-Type: {kind}\\r\\nContent-Length: '
                         f'{len(data)}\\r\\n\\r\\n'.encode() + data)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    global port
    server = await asyncio.start_server(answer, '0.0.0.0', 0)
    port = server.sockets[0].getsockname()[1]
    print(port, flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

LAG = """
import asyncio, json, resource, time
class Lag:
    def __init__(self, crawler):
        from scrapy import signals
        self.lags = []
        crawler.signals.connect(self.begin, signals.spider_opened)
        crawler.signals.connect(self.end, signals.spider_closed)
    @classmethod
    def from_crawler(cls, crawler):
        return cls(crawler)
    def begin(self):
        self.task = asyncio.ensure_future(self.watch())
    async def watch(self):
        while True:
            then = time.perf_counter()
            await asyncio.sleep(0.01)
            self.lags.append(time.perf_counter() - then - 0.01)
    def end(self):
        import sys
        self.task.cancel()
        used = resource.getrusage(resource.RUSAGE_SELF)
        lags = sorted(self.lags)
        print(json.dumps({"cpu": used.ru_utime + used.ru_stime,
                          "p50": lags[len(lags) // 2], "p99": lags[int(len(lags) * 0.99)]}))
"""

BARE = (
    LAG
    + """
import sys, scrapy
from scrapy.crawler import AsyncCrawlerProcess
class Plain(scrapy.Spider):
    name = "plain"
    start_urls = [f"http://127.0.0.{n + 1}:{sys.argv[1]}/rss{n}" for n in range(16)]
    def parse(self, response):
        for link in response.xpath("//link/text()").getall():
            yield scrapy.Request(link, callback=self.page)
    def page(self, response):
        assert response.status == 200
process = AsyncCrawlerProcess({"LOG_LEVEL": "CRITICAL", "TELNETCONSOLE_ENABLED": False,
    "CONCURRENT_REQUESTS": 16, "CONCURRENT_REQUESTS_PER_DOMAIN": 1, "EXTENSIONS": {Lag: 1}})
process.crawl(Plain)
process.start()
"""
)

OURS = (
    LAG
    + """
import sys
from dataclasses import asdict
from pathlib import Path
import crawler.run as run
from crawler.outlets import Outlet
plain = run.scrapy_settings
run.scrapy_settings = lambda job, outlets: plain(job, outlets) | {"EXTENSIONS": {Lag: 1}}
folder, port = Path(sys.argv[2]), sys.argv[1]
hosts = [f"127.0.0.{n}" for n in range(1, 17)]
outlets = [Outlet(name=f"o{n}", display="O", hosts=(host,), article_pattern=r"/a\\d",
                  feeds=(f"http://{host}:{port}/rss{n}",), delay=0.0)
           for n, host in enumerate(hosts)]
job = {"outlets": [asdict(o) for o in outlets], "data_dir": str(folder), "run_id": sys.argv[3],
       "delay": 0.0, "timeout": 30.0, "max_body": 10_000_000, "agent": "benchmark", "proxy": "",
       "allowed": hosts, "max_pages": 100_000, "max_age_days": 60, "outbound_proxy": "",
       "pages": []}
file = folder / "runs" / sys.argv[3] / "job.json"
file.parent.mkdir(parents=True, exist_ok=True)
file.write_text(json.dumps(job))
raise SystemExit(run.main(file))
"""
)

EXTRACT = """
import sys
from pathlib import Path
from crawler.isolate import Extractor
body = Path(sys.argv[1]).read_bytes()
with Extractor() as extractor:
    while True:
        extractor.extract(body, url="http://a.example/a1")
"""


def page(kilobytes: int) -> bytes:
    """Return a page of words that gzip like prose, in the markup of a news site."""
    dice = random.Random(7)
    words = ["".join(dice.choices("aăâbcdđeêghiklmnoôơpqrstuưvxy", k=dice.randint(2, 6)))
             for _ in range(3000)]  # fmt: skip
    parts, size = [], 0
    while size < kilobytes * 1000:
        text = " ".join(dice.choices(words, k=60))
        part = f'<div class="row box-{len(parts)}"><p class="Normal">{text}.</p></div>\n'
        parts.append(part)
        size += len(part.encode())
    return f"<html><head><title>x</title></head><body>{''.join(parts)}</body></html>".encode()


def measured(code: str, *arguments: str) -> dict[str, float]:
    """Run ``code`` in its own process and return what it measured of itself."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Print the medians and their ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--kilobytes", type=int, default=170)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        body = folder / "page.html"
        body.write_bytes(page(given.kilobytes))
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(given.pages), str(body)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert server.stdout
        port = server.stdout.readline().strip()
        rows: dict[str, list[dict[str, Any]]] = {
            "bare": [], "ours": [], "bare_beside_extraction": [], "ours_beside_extraction": [],
        }  # fmt: skip
        for n in range(given.rounds):
            rows["bare"].append(measured(BARE, port))
            rows["ours"].append(measured(OURS, port, name, f"{RUN}-{n}a"))
            beside = subprocess.Popen([sys.executable, "-c", EXTRACT, str(body)], env=environment)
            rows["bare_beside_extraction"].append(measured(BARE, port))
            rows["ours_beside_extraction"].append(
                measured(OURS, port, f"{name}/b{n}", f"{RUN}-{n}b")
            )
            beside.kill()
        server.kill()
    middle = {
        kind: {
            "cpu_ms_a_page": round(
                1000 * statistics.median(r["cpu"] for r in several) / given.pages, 2
            ),
            "lag_p50_ms": round(1000 * statistics.median(r["p50"] for r in several), 1),
            "lag_p99_ms": round(1000 * statistics.median(r["p99"] for r in several), 1),
        }
        for kind, several in rows.items()
    }
    ratios = {
        f"cpu_ratio{beside}": round(
            middle[f"ours{beside}"]["cpu_ms_a_page"] / middle[f"bare{beside}"]["cpu_ms_a_page"], 2
        )
        for beside in ("", "_beside_extraction")
    }
    print(json.dumps(middle | ratios, indent=1))


if __name__ == "__main__":
    main()
