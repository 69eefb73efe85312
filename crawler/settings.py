"""Settings for Scrapy's own tools; a crawl takes its own from `crawler.run.scrapy_settings`."""

from crawler.run import scrapy_settings

BOT_NAME = "kiemchung"
SPIDER_MODULES = ["crawler.spider"]
globals().update(
    scrapy_settings(
        {"delay": 2.0, "timeout": 30.0, "max_body": 10_000_000, "agent": BOT_NAME, "proxy": "",
         "allowed": []},
        [],
    )
)  # fmt: skip
