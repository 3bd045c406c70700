"""Which language a text is in: by its script where that settles it, else by py3langid.

Stories never cross languages, so a wrong guess hides an article from its story: unsure guesses
yield to the hint, and to "und". Called by steps/ingest and the evaluation.
"""

import re
import string
import threading
import unicodedata
from collections import Counter
from functools import cache

import numpy as np
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from worker.core.memo import Memo

UNKNOWN = "und"
# Under forty letters (a headline without its text) the guesses are noise: "Moscow and Ankara
# agreed" comes out as Igbo.
MIN_LETTERS = 40
# Below this the model is torn between relatives (id/ms, hr/sr) or sees no language at all; the
# titles of seeds/ reach 0.8, sentences of Danish, Norwegian and Portuguese 0.6 to 0.99.
MIN_CONFIDENCE = 0.5
SAMPLE_CHARS = 1_000  # 4 000 changed 2 answers of 5 647, both unsure, at thrice the cost
# Of 8 962 articles 8 946 reach this with half the sample, none of which the whole one contradicts.
QUICK_CHARS = 500
QUICK_CONFIDENCE = 0.95

# Scripts that one language of the news alone is written in, by the first word of their letters'
# Unicode names. Arabic, Cyrillic, Devanagari, Bengali, Hebrew and Latin serve several.
_SCRIPTS = {
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "THAI": "th",
    "GREEK": "el",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "SINHALA": "si",
    "KHMER": "km",
    "LAO": "lo",
    "MYANMAR": "my",
}
# Japanese mixes kana with Han: a fifth of kana is plenty, and Chinese has none.
_SCRIPT_SHARE = {"ja": 0.2}
_DEFAULT_SHARE = 0.5
# Languages so close that the model takes plain sentences of one for the other: the hint knows better.
_RELATIVES = ({"id", "ms"}, {"hr", "sr"}, {"hr", "bs"}, {"sr", "bs"})
# Letters that write whole syllables or words: forty of them are a paragraph.
_DENSE = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL")
_DENSE_WEIGHT = 3

_FOREIGN = re.compile(r"[^\x00-\x7f]")
_NO_LETTER = bytes(set(range(128)) - set(string.ascii_letters.encode()))
_NOT_LOWER = bytes(set(range(128)) - set(string.ascii_lowercase.encode()))

_lock = threading.Lock()


def detect_language(text: str, hint: str = "") -> str:
    """Return the ISO 639-1 code of a text's language, or 'und' when there is too little of it.

    Args:
        text: plain text; its first 1 000 characters count.
        hint: what the feed or page says ('en', 'pt-BR'); believed when the text does not tell.
    Cost: .4 ms; the first call loads the model, about a second and 120 MB.
    """
    said = hint.strip().lower().replace("_", "-").partition("-")[0]
    fallback = said if len(said) == 2 and said.isascii() and said.isalpha() else UNKNOWN
    sample = text[:SAMPLE_CHARS]
    scripts = _scripts(sample)
    weight = sum(n * (_DENSE_WEIGHT if s in _DENSE else 1) for s, n in scripts.items())
    if weight < MIN_LETTERS:
        return fallback
    by_script = _by_script(scripts)
    if by_script:
        return by_script
    if len(scripts) > 1:
        sample = _in_script(sample, scripts.most_common(1)[0][0])
    if _is_upper(sample):
        sample = sample.lower()  # transcripts in capitals come out as no language at all
    model = _load()
    lang, confidence = model.classify(sample[:QUICK_CHARS])
    if confidence < QUICK_CONFIDENCE:
        lang, confidence = model.classify(sample)
    if fallback != lang and {fallback, lang} in _RELATIVES:
        return fallback
    return str(lang) if confidence >= MIN_CONFIDENCE and len(lang) == 2 else fallback


def _scripts(sample: str) -> Counter[str]:
    """Return how many letters of each script there are."""
    plain = sample.encode("ascii", "ignore").translate(None, _NO_LETTER)
    scripts = Counter({"LATIN": len(plain)} if plain else ())
    for letter, count in Counter(_FOREIGN.findall(sample)).items():
        if letter.isalpha():
            scripts[_SCRIPT_OF[letter]] += count
    return scripts


def _is_upper(sample: str) -> bool:
    """Say whether capitals are in the majority."""
    lower = len(sample.encode("ascii", "ignore").translate(None, _NOT_LOWER))
    if 2 * lower >= len(sample):  # nearly always in Latin script, and told at once
        return False
    return sum(map(str.isupper, sample)) > sum(map(str.islower, sample))


def _in_script(sample: str, script: str) -> str:
    """Return a text without letters of other scripts: names as they are written at home."""
    return "".join(c if not c.isalpha() or _SCRIPT_OF[c] == script else " " for c in sample)


def _script(letter: str) -> str:
    """Return the first word of a letter's Unicode name: LATIN, CJK, HANGUL."""
    return unicodedata.name(letter, "").partition(" ")[0]


_SCRIPT_OF = Memo(_script, size=2**12)


def _by_script(scripts: Counter[str]) -> str:
    """Return the only language that can be written like this, or ''."""
    shares: Counter[str] = Counter()
    for script, count in scripts.items():
        if script in _SCRIPTS:
            shares[_SCRIPTS[script]] += count
    for lang, count in shares.most_common(1):
        if count >= scripts.total() * _SCRIPT_SHARE.get(lang, _DEFAULT_SHARE):
            return lang
    return ""


def _load() -> LanguageIdentifier:
    """Return the model, loaded once for all threads: a cache alone would let each load its own."""
    with _lock:
        return _model()


@cache
def _model() -> LanguageIdentifier:
    """Return the model among whose languages texts are told apart.

    Only two-letter labels compete, so that Cantonese or Egyptian Arabic is found as its kin; and
    not Bosnian, which takes Croatian and Serbian texts away from theirs.
    """
    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    model.set_languages([label for label in model.labels if len(label) == 2 and label != "bs"])
    # Choosing languages leaves the table column by column and in half precision, where scoring reads
    # rows in single: four times as slow. The same numbers, 46 MB instead of 23.
    model.nb_ptc = np.ascontiguousarray(model.nb_ptc, np.float32)
    return model
