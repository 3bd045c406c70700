"""From bytes or text to a signed article: extract, tell the language, sketch, gate.

CPU only and without effects, so it runs in a work horse or a pool of processes that may be killed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from worker.core.boilerplate import line_hashes, without
from worker.core.junk import gate, is_headline
from worker.core.signatures import copy_signature, shingles
from worker.core.sketch import sketch
from worker.core.text import read
from worker.decode.language import detect_language
from worker.decode.lexicon import prior_for, words_for
from worker.decode.page import extract_page
from worker.errors import DecodeError
from worker.model import IndexParams, MatchPolicy, Rejected, Sketch


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is at hand of an article before it is read."""

    title: str
    text: str  # the feed's own summary, or the record's text
    html: bytes  # the page; empty when there is none
    url: str
    lang: str  # a hint; empty when unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An article as detection takes it."""

    title: str
    lang: str
    sketch: Sketch
    lines: bytes = b""  # core.boilerplate.line_hashes of it


def prepare(
    draft: Draft,
    params: IndexParams,
    policy: MatchPolicy,
    repeated: frozenset[int] = frozenset(),
) -> Prepared | Rejected:
    """Return a draft as detection takes it, or why it is no article.

    A page that yields less text than the feed gave is replaced by the feed's text: walls and
    empty shells are shorter than a decent summary. Where there is neither page nor text, the title is
    all that was published, and counts. Lines that the publisher repeats do not count.

    Cost: 35 ms a page, 1.5 ms a text of 350 words.
    """
    title, text, linked, trouble = draft.title, draft.text, 0.0, ""
    if draft.html:
        try:
            page = extract_page(draft.html, url=draft.url)
            title = title or page.title
            if len(page.text) >= len(text):
                text, linked = page.text, page.linked
        except DecodeError as e:
            trouble = str(e)
    heading, body = read(title), read(text)
    title_only = not draft.html and is_headline(heading, body)
    if title_only:
        body = read("")
    lines = line_hashes(title, body.raw)
    if repeated:
        body = read(without(body.raw, repeated))
    lang = detect_language(f"{title}\n{body.raw}", draft.lang)
    signed = sketch(heading, body, params=params, prior=prior_for(lang), words=words_for(lang))
    rejected = gate(heading, body, signed.shingles, policy, linked=linked, title_only=title_only)
    if rejected and repeated and rejected.reason == "too_short":
        return Rejected(reason="boilerplate", detail=rejected.detail)
    if rejected:
        return Rejected(reason=rejected.reason, detail=trouble or rejected.detail)
    return Prepared(title=title, lang=lang, sketch=signed, lines=lines)


def warm_up(langs: Iterable[str]) -> None:
    """Load models, libraries and word lists now: a forked horse would load them anew for each job.

    Cost: about two seconds the first time, then up to a second and 20 MB a language that is new.
    """
    copy_signature(shingles(["one", "word"]), 16)  # datasketch brings SciPy: half a second a horse
    extract_page(b"<html><body><p>Nothing to see.</p></body></html>", url="https://example.org/")
    detect_language("Some words in a language that everybody who reads this will know.")
    for lang in langs:
        prior_for(lang)
