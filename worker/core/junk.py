"""Tells articles from what only looks like one: walls, error pages, texts too short to sign.

A page is rejected for its wording only when it is short and consists largely of such phrases, so
that a report about paywalls or cookies passes. No publisher's own wording is listed.
"""

from collections.abc import Mapping, Sequence

from worker.core.text import normalise, tokens
from worker.model import MatchPolicy, Rejected

REASONS = ("too_short", "consent_wall", "paywall", "login_or_captcha", "error_page")

# Walls and notices run to 20-200 words; nothing longer is rejected for its phrases. No text of
# 2500 characters has so few words, which spares the look at most articles.
_SHORT_TOKENS = 250
_SHORT_CHARS = 2500
# Share of words that stand in listed phrases, and how many different phrases must occur. Of 19 463
# news articles of all lengths none passes both.
_SHARE = 0.15
_DISTINCT = 2

# One phrase between bars, in languages with many news sites. No phrase need be conclusive alone.
_PHRASES: Mapping[str, str] = {
    "consent_wall": """
        use cookies|uses cookies|our partners|list of partners|such as cookies|on your device
        |unique identifiers|personalised advertising|personalized advertising|location data
        |my choices|your choices|your choice|measure content performance|accept all|reject all|manage preferences
        |manage cookies|manage choices|cookie settings|cookie policy|privacy policy|your consent
        |legitimate interest|store and or access information on a device|personalised ads
        |personalized ads|personalised content|personalized content|your privacy
        |alle akzeptieren|cookies akzeptieren|verwenden cookies|datenschutzerklärung
        |unsere partner|tout accepter|accepter et continuer|accepter les cookies
        |politique de confidentialité|nos partenaires|gérer mes choix|aceptar todas|aceptar cookies
        |utilizamos cookies|política de cookies|política de privacidad|política de privacidade
        |aceitar todos|accetta tutti|utilizziamo i cookie|informativa sulla privacy|принять все
        |файлы cookie|tümünü kabul et|接受所有|隐私政策|すべて同意
        """,
    "paywall": """
        subscribe now|subscribe today|subscribe to continue reading|to continue reading
        |to keep reading|free articles|first month|cancel whenever|sign in|log in
        |already a subscriber|already a member|for subscribers|subscribers only|become a member
        |become a subscriber|unlimited access|free trial|digital subscription|cancel anytime
        |cancel any time|a month|per month|full access|jetzt abonnieren|jetzt weiterlesen
        |jetzt testen|bereits abonnent|monatlich kündbar|réservé aux abonnés|déjà abonné
        |abonnez vous|sans engagement|suscríbete|solo para suscriptores|ya eres suscriptor
        |contenido exclusivo|abbonati|già abbonato|assine agora|já é assinante
        |оформите подписку|уже подписаны|abone ol|有料会員|会員限定
        """,
    "login_or_captcha": """
        sign in|log in|forgot password|forgot your password|create an account
        |create a free account|not a robot|are you a robot|you are human|verify you are
        |enable javascript|javascript is disabled|disable your ad blocker|unusual traffic
        |checking your browser|security check|security service|captcha|anmelden|passwort vergessen
        |javascript aktivieren|mot de passe oublié|se connecter|activer javascript
        |connectez vous|iniciar sesión|olvidaste tu contraseña|no soy un robot|entrar na sua conta
        |password dimenticata|accedi|включите javascript|забыли пароль|войдите|giriş yap
        |şifremi unuttum|ログイン|登录
        """,
    "error_page": """
        not found|404|403 forbidden|access denied|you are looking for|you requested
        |no longer available|not available|does not exist|has been removed
        |internal server error|service unavailable|temporarily unavailable|back to the homepage
        |back to homepage|return to the homepage|too many requests|bad gateway
        |something went wrong|try again later|nicht gefunden|existiert nicht|zur startseite
        |page introuvable|n existe plus|n existe pas|retour à l accueil|página no encontrada
        |no existe|volver al inicio|página não encontrada|pagina non trovata|torna alla home
        |страница не найдена|на главную|ana sayfa|sayfa yok|页面不存在|ページが見つかりません
        """,
}

_Index = Mapping[str, Sequence[tuple[str, ...]]]


def _by_first(phrases: str) -> _Index:
    """Return the phrases as token runs, longest first, filed under their first token."""
    runs = {tuple(tokens(normalise(phrase))) for phrase in phrases.split("|")}
    firsts: dict[str, list[tuple[str, ...]]] = {}
    for run in sorted(runs, key=lambda r: (-len(r), r)):
        firsts.setdefault(run[0], []).append(run)
    return firsts


_INDEX = {reason: _by_first(phrases) for reason, phrases in _PHRASES.items()}


def gate(title: str, text: str, shingle_count: int, policy: MatchPolicy) -> Rejected | None:
    """Return why a text is no article, or None when it may be one.

    Args:
        title: of the page; error pages often say so there.
        text: main text as extracted.
        shingle_count: distinct shingles of the text.
        policy: fewest shingles that make an article.
    """
    if len(text) <= _SHORT_CHARS:
        words = tokens(normalise(f"{title}\n{text}"))
        if 0 < len(words) <= _SHORT_TOKENS:
            shares = {reason: _share(words, index) for reason, index in _INDEX.items()}
            reason = max(shares, key=lambda name: shares[name])
            if shares[reason] >= _SHARE:
                detail = f"{shares[reason]:.0%} of {len(words)} words"
                return Rejected(reason=reason, detail=detail)
    if shingle_count < policy.min_shingles:
        detail = f"{shingle_count} shingles of {policy.min_shingles}"
        return Rejected(reason="too_short", detail=detail)
    return None


def _share(words: Sequence[str], index: _Index) -> float:
    """Return the share of words inside phrases; 0 unless several different phrases occur."""
    found: set[tuple[str, ...]] = set()
    covered = at = 0
    while at < len(words):
        runs = index.get(words[at], ())
        run = next((r for r in runs if tuple(words[at : at + len(r)]) == r), None)
        if run is None:
            at += 1
            continue
        found.add(run)
        covered += len(run)
        at += len(run)
    return covered / len(words) if len(found) >= _DISTINCT else 0.0
