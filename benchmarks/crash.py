"""SIGKILLs at random instants of a 300-page crawl: what is lost and what is doubled.

    python benchmarks/crash.py [--kills 200] [--pages 300] [--jobdir 12]

Ours is killed ``--kills`` times in all, in crawls of ``--pages`` pages that are started again until
they finish. Beside it, plain Scrapy with JOBDIR in ``--jobdir`` trials of one kill each.
server. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RUN = "2026-W40-crash"

OURS = """
import sys
from pathlib import Path
from crawler.outlets import Outlet
from crawler.run import crawl
from kiemchung.config import load_settings
folder = Path(sys.argv[1])
hosts = [f"127.0.0.{n}" for n in range(1, 5)]
crawl([Outlet(name=f"o{n}", display="O", hosts=(host,), article_pattern=r"/a\\d",
              feeds=(f"http://{host}:{sys.argv[2]}/rss-{n}",), delay=0.0)
       for n, host in enumerate(hosts)],
      data_dir=folder, run_id=sys.argv[3], settings=load_settings(data_dir=folder),
      allowed_addresses=hosts)
"""

JOBDIR = """
import sys, scrapy
from scrapy.crawler import CrawlerProcess
class Plain(scrapy.Spider):
    name = "plain"
    start_urls = [f"http://127.0.0.{n + 1}:{sys.argv[2]}/rss-{n}" for n in range(4)]
    def parse(self, response):
        for link in response.xpath("//link/text()").getall():
            yield scrapy.Request(link, callback=self.page)
    def page(self, response):
        with open(sys.argv[1] + "/pages.txt", "a") as file:
            file.write(response.url + "\\n")
process = CrawlerProcess({"JOBDIR": sys.argv[1] + "/job", "LOG_LEVEL": "CRITICAL",
                          "TELNETCONSOLE_ENABLED": False, "CONCURRENT_REQUESTS_PER_DOMAIN": 1})
process.crawl(Plain)
process.start()
"""


class Site:
    """Four hosts of one port, each with a feed of a quarter of the pages."""

    def __init__(self, pages: int) -> None:
        share = pages // 4

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = 200, f"<html><p>{self.path}</p>{'x' * 5000}</html>"
                if self.path.startswith("/rss-"):
                    n = int(self.path[5:])
                    base = f"http://127.0.0.{n + 1}:{self.server.server_address[1]}"
                    links = "".join(
                        f"<item><link>{base}/a{n * share + k}</link></item>" for k in range(share)
                    )
                    body = f"<rss><channel>{links}</channel></rss>"
                elif self.path == "/robots.txt":
                    status, body = 404, ""
                else:
                    time.sleep(0.02)
                data = body.encode()
                self.send_response(status)
                kind = "text/xml" if "rss" in self.path else "text/html"
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments: object) -> None:
                return

        self.server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def killed_after(command: list[str], seconds: float) -> bool:
    """Run ``command``, kill its whole group after ``seconds``; return whether it was killed."""
    child = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return True
    return False


def ours(site: Site, pages: int, kills: int, dice: random.Random) -> dict[str, Any]:
    """Kill our crawl ``kills`` times; every crawl is started again until it has finished."""
    from crawler.run import fetched_pages, summary

    done = crawls = lost = doubled = 0
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        while done < kills:
            crawls += 1
            run = f"{RUN}{crawls}"
            data = Path(folder) / run
            command = [sys.executable, "-c", OURS, str(data), str(site.port), run]
            while done < kills and killed_after(command, dice.uniform(0.4, 3.0)):
                done += 1
            killed_after(command, 600)
            end = summary(data, run)
            found = Counter(p.body for p in fetched_pages(data, run))
            lost += pages - len(found)
            doubled += sum(found.values()) - len(found)
            assert end.pending == 0
            assert end.discovered == pages
    return {
        "kills": done, "crawls": crawls, "pages_lost": lost, "pages_stored_twice": doubled,
        "seconds": round(time.monotonic() - begun, 1),
    }  # fmt: skip


def jobdir(site: Site, pages: int, trials: int, dice: random.Random) -> dict[str, Any]:
    """Kill plain Scrapy once a trial and let it resume from its job folder."""
    lost = doubled = lossy = 0
    for _ in range(trials):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", JOBDIR, folder, str(site.port)]
            while not killed_after(command, dice.uniform(1.0, 3.0)):
                (Path(folder) / "pages.txt").unlink(missing_ok=True)
            killed_after(command, 600)
            path = Path(folder) / "pages.txt"
            found = Counter(path.read_text().split()) if path.exists() else Counter()
            lost += pages - len(found)
            lossy += len(found) < pages
            doubled += sum(found.values()) - len(found)
    return {
        "trials": trials, "lossy_trials": lossy, "pages_lost": lost,
        "of_pages": trials * pages, "pages_stored_twice": doubled,
    }  # fmt: skip


def main() -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--jobdir", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    site = Site(given.pages)
    dice = random.Random(given.seed)
    print(json.dumps({
        "ours": ours(site, given.pages, given.kills, dice),
        "scrapy_jobdir": jobdir(site, given.pages, given.jobdir, dice),
    }, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
