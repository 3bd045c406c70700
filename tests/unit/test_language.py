# ruff: noqa: RUF001 - letters of other scripts are meant
from concurrent.futures import ThreadPoolExecutor

import pytest

from worker.decode import language
from worker.decode.language import detect_language

TEXTS = {
    "en": "Russia and Turkey agreed to coordinate their steps in Syria after the United States is gone.",
    "es": "Rusia y Turqu\u00eda acordaron coordinar sus pasos en Siria tras la retirada de Estados Unidos.",
    "de": "Russland und die T\u00fcrkei wollen ihr Vorgehen in Syrien nach dem Abzug der Amerikaner abstimmen.",
    "tr": "Rusya ve T\u00fcrkiye, ABD'nin \u00e7ekilmesinin ard\u0131ndan Suriye'deki ad\u0131mlar\u0131n\u0131 koordine etme konusunda anla\u015ft\u0131.",
    "ru": "\u0420\u043e\u0441\u0441\u0438\u044f \u0438 \u0422\u0443\u0440\u0446\u0438\u044f \u0434\u043e\u0433\u043e\u0432\u043e\u0440\u0438\u043b\u0438\u0441\u044c \u043a\u043e\u043e\u0440\u0434\u0438\u043d\u0438\u0440\u043e\u0432\u0430\u0442\u044c \u0434\u0435\u0439\u0441\u0442\u0432\u0438\u044f \u0432 \u0421\u0438\u0440\u0438\u0438.",
    "ar": "\u0627\u062a\u0641\u0642\u062a \u0631\u0648\u0633\u064a\u0627 \u0648\u062a\u0631\u0643\u064a\u0627 \u0639\u0644\u0649 \u062a\u0646\u0633\u064a\u0642 \u062e\u0637\u0648\u0627\u062a\u0647\u0645\u0627 \u0641\u064a \u0633\u0648\u0631\u064a\u0627 \u0628\u0639\u062f \u0627\u0646\u0633\u062d\u0627\u0628 \u0627\u0644\u0648\u0644\u0627\u064a\u0627\u062a \u0627\u0644\u0645\u062a\u062d\u062f\u0629",
    "zh": "\u4fc4\u7f57\u65af\u548c\u571f\u8033\u5176\u540c\u610f\u5728\u7f8e\u56fd\u64a4\u519b\u540e\u534f\u8c03\u5728\u53d9\u5229\u4e9a\u7684\u884c\u52a8",
    "ja": "\u30ed\u30b7\u30a2\u3068\u30c8\u30eb\u30b3\u306f\u7c73\u56fd\u64a4\u9000\u5f8c\u306e\u30b7\u30ea\u30a2\u3067\u306e\u884c\u52d5\u3092\u8abf\u6574\u3059\u308b\u3053\u3068\u3067\u5408\u610f",
    "ko": "\ub7ec\uc2dc\uc544\uc640 \ud130\ud0a4\ub294 \ubbf8\uad70 \ucca0\uc218 \uc774\ud6c4 \uc2dc\ub9ac\uc544\uc5d0\uc11c \ud589\ub3d9\uc744 \uc870\uc728\ud558\uae30\ub85c \ud569\uc758",
    "el": "\u0397 \u03a1\u03c9\u03c3\u03af\u03b1 \u03ba\u03b1\u03b9 \u03b7 \u03a4\u03bf\u03c5\u03c1\u03ba\u03af\u03b1 \u03c3\u03c5\u03bc\u03c6\u03ce\u03bd\u03b7\u03c3\u03b1\u03bd \u03bd\u03b1 \u03c3\u03c5\u03bd\u03c4\u03bf\u03bd\u03af\u03c3\u03bf\u03c5\u03bd \u03c4\u03b9\u03c2 \u03ba\u03b9\u03bd\u03ae\u03c3\u03b5\u03b9\u03c2",
}


@pytest.mark.parametrize(("lang", "text"), TEXTS.items())
def test_detect_language_when_there_is_a_sentence_then_names_it(lang: str, text: str) -> None:
    """A sentence of news is enough to tell its language, whatever the hint says."""
    assert detect_language(text) == lang
    assert detect_language(text, hint="fr") == lang


@pytest.mark.parametrize(
    ("text", "hint", "lang"),
    [
        ("", "", "und"),
        ("", "en", "en"),
        ("Moscow and Ankara agreed", "en-GB", "en"),
        ("Moscow and Ankara agreed", "PT_br", "pt"),
        ("Moscow and Ankara agreed", "english", "und"),
        ("Moscow and Ankara agreed", "", "und"),
        ("12345 " * 50, "", "und"),
    ],
)
def test_detect_language_when_there_is_too_little_then_takes_the_hint(
    text: str, hint: str, lang: str
) -> None:
    """A headline alone is no evidence: the hint decides, else the language is undetermined."""
    assert detect_language(text, hint) == lang


def test_detect_language_when_first_called_by_many_threads_then_loads_one_model() -> None:
    """The model is loaded once, and all threads agree on the answers."""
    language._model.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(detect_language, [TEXTS["en"], TEXTS["de"]] * 4))
    assert found == ["en", "de"] * 4
    assert language._model.cache_info().misses == 1


# The same piece of news in languages that are easily taken for one another.
RELATIVES = {
    "es": "El gobierno anunció este martes nuevas ayudas para las familias afectadas por las inundaciones.",
    "pt": "O governo anunciou nesta terça-feira novas ajudas para as famílias afetadas pelas enchentes.",
    "no": "Regjeringen varslet tirsdag nye støttetiltak for familiene som ble rammet av flommen i forrige måned.",
    "da": "Regeringen varslede tirsdag nye støtteordninger til de familier, der blev ramt af oversvømmelserne.",
    "sv": "Regeringen meddelade på tisdagen nya stöd till de familjer som drabbades av översvämningarna.",
    "cs": "Vláda v úterý oznámila novou pomoc pro rodiny postižené povodněmi z minulého měsíce na jihu země.",
    "sk": "Vláda v utorok oznámila novú pomoc pre rodiny postihnuté povodňami z minulého mesiaca na juhu krajiny.",
    "ru": "Правительство во вторник объявило о новой помощи семьям, пострадавшим от наводнения.",
    "uk": "Уряд у вівторок оголосив про нову допомогу родинам, які постраждали від повені минулого місяця.",
    "bg": "Правителството обяви във вторник нова помощ за семействата, пострадали от наводненията.",
    "hr": "Vlada je u utorak najavila novu pomoć obiteljima pogođenima poplavama prošloga mjeseca na jugu zemlje.",
    "sr": "Влада је у уторак најавила нову помоћ породицама које су погођене поплавама прошлог месеца.",
    "ms": "Kerajaan pada hari Selasa mengumumkan bantuan baharu kepada keluarga yang terjejas akibat banjir.",
    "fa": "دولت روز سه‌شنبه از کمک‌های تازه به خانواده‌های آسیب‌دیده از سیل ماه گذشته در جنوب کشور خبر داد.",
    "ur": "حکومت نے منگل کے روز گزشتہ ماہ کے سیلاب سے متاثرہ خاندانوں کے لیے نئی امداد کا اعلان کیا ہے۔",
}


@pytest.mark.parametrize(("lang", "text"), RELATIVES.items())
def test_detect_language_when_relatives_are_close_then_tells_them_apart(
    lang: str, text: str
) -> None:
    """With the right hint, a wrong one and none: the same answer, or articles would not meet."""
    assert {detect_language(text, hint) for hint in ("", lang, "en")} == {lang}


def test_detect_language_when_two_can_hardly_be_told_then_the_hint_decides() -> None:
    """A sentence of Indonesian may be Malay word for word; its feed knows."""
    text = "Pemerintah pada hari Selasa mengumumkan bantuan baru bagi keluarga yang terkena dampak banjir."
    assert (detect_language(text, "id"), detect_language(text, "ms")) == ("id", "ms")
    assert detect_language(text, "en") == detect_language(text)


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        (
            "en",
            "President Volodymyr Zelenskyy (Володимир Зеленський) thanked the donors for their new aid.",
        ),
        ("zh", "外交部发言人周二表示,总统Emmanuel Macron将于下月来访,双方将讨论贸易和气候问题。"),
        ("ja", "首相は火曜日、フランスのEmmanuel Macron大統領と電話会談し、貿易について協議した。"),
        (
            "en",
            "THE FAMILY OF THE BOY WHO WAS SHOT LAST NIGHT WANTS TO KNOW WHO FIRED THE GUN. " * 2,
        ),
    ],
)
def test_detect_language_when_scripts_or_cases_mix_then_the_text_decides(
    lang: str, text: str
) -> None:
    """Names in another script, and transcripts in capitals, do not change the language."""
    assert detect_language(text) == lang
