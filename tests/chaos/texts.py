"""Invented news: texts that read like reports, drawn from a seed, the same for the same story and copy.

A story draws names, places and figures of its own, so that its sentences share words with other
stories as real reports do, and hardly any run of three words. A copy is its text with one sentence
of fourteen exchanged: two copies share three quarters of their runs of three words.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LANGS = ("en", "en", "en", "en", "en", "en", "en", "de")  # one story in eight is German
SENTENCES = 14
PARAGRAPH = 3  # sentences
NAMES = 6  # that one story draws of each kind
_ONSETS = (*"bdfghjklmnprstvwz", "br", "dr", "fl", "gr", "kl", "pr", "st", "tr")
_VOWELS = (*"aeiou", "au", "ei", "ie")
_CODAS = (*"lnrstx", "ld", "mp", "nd", "ng", "rk", "rt")
_ENDS = {"person": ["", "er", "mann", "ski", "sen"], "place": ["burg", "stad", "ford", "by", "ow"]}


@dataclass(frozen=True, slots=True)
class Phrases:
    """The parts that sentences of one language are put together from."""

    who: Sequence[str]
    did: Sequence[str]
    what: Sequence[str]
    tail: Sequence[str]
    title: Sequence[str]


PHRASES: Mapping[str, Phrases] = {
    "en": Phrases(
        who=(
            "{person}, who heads the office in {place},", "The council of {place}",
            "A spokeswoman for {person}", "Engineers from {place}", "The family of {person}",
            "Inspectors sent by {person}", "Two neighbours in {place}", "The court in {place}",
            "Mayor {person}", "A report by the {place} institute", "Union leader {person}",
            "The company behind the {place} works", "Doctors at the {place} hospital",
        ),
        did=(
            "confirmed on {day} that", "told reporters that", "has denied claims that",
            "said in a letter of {n} pages that", "found after {n} hours that", "warned that",
            "could not explain why", "published figures showing that", "admitted late on {day} that",
            "asked the ministry to explain why", "expects that", "learned by telephone that",
        ),
        what=(
            "{n} tonnes of grain from {place} had spoiled", "the bridge near {place} lost {n} bolts",
            "the tunnel to {place} would cost {n} million crowns",
            "{n} passengers were stranded in {place}", "a pump sold by {person} failed {n} times",
            "the lake above {place} rose by {n} centimetres", "{n} jobs at the {place} plant will go",
            "{person} had signed {n} contracts without a tender",
            "the ferry to {place} carried {n} crates too many",
            "a fire in {place} destroyed {n} archives", "the museum of {place} lent {n} paintings",
            "{n} patients were moved to {place}", "the power line to {place} was cut {n} times",
        ),
        tail=(
            "before the harvest", "without telling the insurers", "although {person} objected",
            "as the papers of {day} show", "while the valley of {place} slept", "for the second time",
            "despite the ban from {place}", "which {person} calls a scandal", "under heavy rain",
            "at a loss of {n} million", "in spite of {n} warnings", "to the surprise of {place}",
        ),
        title=("{place}: {person} under pressure over {n} cases", "{n} days of doubt in {place}"),
    ),
    "de": Phrases(
        who=(
            "{person}, Leiter der Behörde in {place},", "Der Stadtrat von {place}",
            "Eine Sprecherin von {person}", "Das Gericht in {place}", "Bürgermeister {person}",
            "Die Familie von {person}", "Ein Gutachten aus {place}", "Der Gewerkschafter {person}",
        ),
        did=(
            "bestätigte am {day}, dass", "sagte vor Journalisten, dass", "bestreitet bis heute, dass",
            "schrieb auf {n} Seiten, dass", "stellte nach {n} Stunden fest, dass", "warnte davor, dass",
        ),
        what=(
            "{n} Tonnen Getreide aus {place} verdorben sind", "die Brücke bei {place} {n} Risse hat",
            "der Tunnel nach {place} {n} Millionen Kronen kostet", "{n} Reisende in {place} festsitzen",
            "die Fähre nach {place} {n} Kisten zu viel geladen hat",
            "{person} ohne Ausschreibung {n} Verträge unterschrieb",
            "das Museum von {place} {n} Gemälde verliehen hat",
        ),
        tail=(
            "und das noch vor der Ernte", "obwohl {person} widersprach", "wie Akten vom {day} zeigen",
            "trotz der {n} Warnungen", "sehr zur Überraschung von {place}", "bei strömendem Regen",
            "was {person} einen Skandal nennt",
        ),
        title=("{place}: {person} gerät wegen {n} Fällen unter Druck", "{n} Tage Zweifel in {place}"),
    ),
}  # fmt: skip
DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag"),
}


@dataclass(frozen=True, slots=True)
class Text:
    """One article's title and paragraphs."""

    title: str
    paragraphs: tuple[str, ...]


def text_of(seed: int, story: int, copy: int) -> Text:
    """Return the text of one copy of a story; copy 0 is the original."""
    lang = LANGS[story % len(LANGS)]
    phrases = PHRASES[lang]
    draw = random.Random(f"{seed}/{story}")
    names = {kind: [_name(draw, ends) for _ in range(NAMES)] for kind, ends in _ENDS.items()}
    title = _filled(draw, draw.choice(phrases.title), names, lang)
    sentences = [_sentence(draw, phrases, names, lang) for _ in range(SENTENCES)]
    if copy:
        changed = random.Random(f"{seed}/{story}/{copy}")
        at = changed.randrange(SENTENCES)
        sentences[at] = _sentence(changed, phrases, names, lang)
    starts = range(0, SENTENCES, PARAGRAPH)
    return Text(title, tuple(" ".join(sentences[at : at + PARAGRAPH]) for at in starts))


def _sentence(
    draw: random.Random, phrases: Phrases, names: Mapping[str, Sequence[str]], lang: str
) -> str:
    parts = (phrases.who, phrases.did, phrases.what, phrases.tail)
    drawn = (_filled(draw, draw.choice(part), names, lang) for part in parts)
    return " ".join(drawn) + "."


def _filled(draw: random.Random, form: str, names: Mapping[str, Sequence[str]], lang: str) -> str:
    return form.format(
        person=draw.choice(names["person"]),
        place=draw.choice(names["place"]),
        day=draw.choice(DAYS[lang]),
        n=draw.randrange(3, 900),
    )


def _name(draw: random.Random, ends: Sequence[str]) -> str:
    syllables = (
        draw.choice(_ONSETS) + draw.choice(_VOWELS) + draw.choice(_CODAS)
        for _ in range(draw.choice((1, 2)))
    )
    return ("".join(syllables) + draw.choice(ends)).capitalize()
