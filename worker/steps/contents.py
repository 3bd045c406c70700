"""Full texts that feeds carry, in place of pages: archived when polled, so that nobody is asked.

One job: put them where the page of an article is looked for. Whatever is lost of this on the way costs
a request for the page, no more. Called by steps/poll.
"""

from collections.abc import Collection
from dataclasses import dataclass

import structlog

from worker.archive.warc import Archive
from worker.core.entries import contents_of, publisher
from worker.model import Entry, Feed, Page, ParsedFeed
from worker.store.fetched import Fetched

log = structlog.get_logger()

# A piece of HTML as a page, to be read like any other; a text without a tag would be none.
_DOCUMENT = '<!doctype html><html><head><meta charset="utf-8"></head><body><article>{}</article></body></html>'
_TYPE = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Keeps what feeds carry of articles."""

    archive: Archive
    fetched: Fetched
    least_chars: int  # of text, to stand for a page; 0: none does

    def keep(self, parsed: ParsedFeed, feed: Feed, entries: Collection[Entry], now: float) -> None:
        """Archive the contents of these entries of a document that are long enough.

        Only of the feed's own publisher: nobody may say what stands on another one's page.

        Raises:
            ArchiveError: the disk refuses.
            StoreError: Redis did not answer.
        Cost: one fsync and one round trip, where there are any.
        """
        contents, own = contents_of(parsed, feed), publisher(feed.url)
        carried = [e for e in entries if e.url and e.source == own and contents.get(e.entry_id)]
        if not carried:
            return
        pages = [_page(entry.url, contents[entry.entry_id], now) for entry in carried]
        places = self.archive.append_contents(pages)
        self.fetched.keep_contents(zip(carried, places, strict=True))
        log.info("contents_kept", contents=len(carried))


def _page(url: str, markup: str, now: float) -> Page:
    return Page(
        url=url,
        final_url=url,
        status=200,
        headers={"content-type": _TYPE},
        body=_DOCUMENT.format(markup).encode(),
        fetched_at=now,
    )
