# ruff: noqa: RUF001 - letters of other scripts are meant
"""The wording of walls and notices, by the reason it is rejected for; `core.junk` weighs it.

One phrase between bars, in languages with many news sites. No phrase need be conclusive alone, and
none is a publisher's own.
"""

from collections.abc import Mapping

PHRASES: Mapping[str, str] = {
    "consent_wall": """
        use cookies|uses cookies|our partners|list of partners|such as cookies|on your device
        |unique identifiers|personalised advertising|personalized advertising|location data
        |my choices|your choices|your choice|measure content performance|accept all|reject all|manage preferences
        |manage cookies|manage choices|cookie settings|cookie policy|privacy policy|your consent
        |legitimate interest|store and or access information on a device|personalised ads
        |personalized ads|personalised content|personalized content|your privacy|accept cookies
        |strictly necessary cookies|essential cookies|withdraw your consent
        |alle akzeptieren|alle cookies akzeptieren|cookies akzeptieren|verwenden cookies
        |datenschutzerklärung|unsere partner|ihre einwilligung|einwilligung widerrufen
        |cookie einstellungen|auf einem gerät speichern|personalisierte werbung|alle ablehnen
        |tout accepter|tout refuser|accepter et continuer|accepter les cookies|utilisons des cookies
        |politique de confidentialité|nos partenaires|gérer mes choix|votre consentement
        |continuer sans accepter|publicités personnalisées|paramétrer les cookies
        |aceptar todas|aceptar todo|rechazar todo|rechazar todas|aceptar cookies|aceptar y continuar
        |utilizamos cookies|nuestros socios|su consentimiento|tu consentimiento
        |política de cookies|política de privacidad|configurar cookies|publicidad personalizada
        |política de privacidade|aceitar todos|aceitar cookies|rejeitar todos|nossos parceiros
        |usamos cookies|publicidade personalizada|seu consentimento
        |accetta tutti|accetta e continua|rifiuta tutti|utilizziamo i cookie|utilizziamo cookie
        |nostri partner|informativa sulla privacy|il tuo consenso|gestisci le preferenze
        |alles accepteren|alle cookies accepteren|gebruiken cookies|onze partners|uw toestemming
        |jouw toestemming|privacybeleid|cookies weigeren
        |akceptuję|zaakceptuj wszystkie|pliki cookie|plików cookie|polityka prywatności
        |polityce prywatności|nasi partnerzy|zgoda na przetwarzanie
        |acceptera alla|godkänn alla|använder cookies|godta alle|bruker informasjonskapsler
        |tillad alle|bruger cookies|hyväksy kaikki|käytämme evästeitä
        |přijmout vše|používáme cookies|používáme soubory cookie|ochrana osobních údajů
        |prijať všetko|az összes elfogadása|sütiket használunk|acceptă toate|folosim cookie uri
        |αποδοχή όλων|χρησιμοποιούμε cookies|πολιτική απορρήτου|οι συνεργάτες μας
        |принять все|отклонить все|файлы cookie|файлов cookie|используем cookie
        |политика конфиденциальности|политикой конфиденциальности|прийняти всі|файли cookie
        |політика конфіденційності|приемам всички|използваме бисквитки|използва бисквитки
        |tümünü kabul et|tümünü reddet|çerezleri kabul et|çerez politikası|çerez kullanıyoruz
        |gizlilik politikası|terima semua|menggunakan cookie|kebijakan privasi
        |قبول الكل|ملفات تعريف الارتباط|سياسة الخصوصية|رفض الكل|شركاؤنا
        |אישור הכל|קבל הכל|קובצי cookie|מדיניות הפרטיות|עוגיות
        |सभी स्वीकार करें|कुकीज़ का उपयोग|गोपनीयता नीति|ยอมรับทั้งหมด|ใช้คุกกี้|นโยบายความเป็นส่วนตัว
        |接受所有|全部接受|接受全部|使用cookie|隐私政策|隱私權政策|我们的合作伙伴|すべて同意|すべて許可
        |同意する|クッキーを使用|cookieを使用|プライバシーポリシー|모두 동의|모두 허용|쿠키를 사용|개인정보 처리방침
        """,
    "paywall": """
        subscribe now|subscribe today|subscribe to continue reading|to continue reading
        |to keep reading|free articles|first month|cancel whenever|sign in|log in
        |already a subscriber|already a member|for subscribers|subscribers only|become a member
        |become a subscriber|unlimited access|free trial|digital subscription|cancel anytime
        |cancel any time|a month|per month|full access|exclusive to subscribers|read the full story
        |read the full article|subscribe to read|already subscribed|your free articles
        |jetzt abonnieren|jetzt weiterlesen|weiterlesen mit|jetzt testen|bereits abonnent
        |schon abonnent|monatlich kündbar|jederzeit kündbar|nur für abonnenten|zugang zu allen
        |jetzt anmelden|probemonat|diesen artikel weiterlesen
        |réservé aux abonnés|réservé à nos abonnés|déjà abonné|abonnez vous|sans engagement
        |lire la suite|la suite de cet article|pour lire la suite|accès illimité|le premier mois
        |suscríbete|suscríbase|solo para suscriptores|exclusivo para suscriptores|ya eres suscriptor
        |ya soy suscriptor|contenido exclusivo|para seguir leyendo|sigue leyendo|acceso ilimitado
        |primer mes|al mes|cancela cuando quieras|inicia sesión
        |abbonati|già abbonato|sei già abbonato|per continuare a leggere|riservato agli abbonati
        |accesso illimitato|primo mese|al mese|disdici quando vuoi
        |assine agora|assine já|já é assinante|exclusivo para assinantes|para continuar lendo
        |acesso ilimitado|por mês|cancele quando quiser|continue lendo
        |word abonnee|al abonnee|alleen voor abonnees|verder lezen|lees verder|per maand
        |dostęp dla prenumeratorów|wykup dostęp|masz już prenumeratę|czytaj dalej|zaloguj się
        |za darmo przez|bli prenumerant|redan prenumerant|fortsätt läsa|bliv abonnent
        |allerede abonnent|bli abonnent|læs videre|tilaa nyt|vain tilaajille
        |předplatné|pouze pro předplatitele|jste předplatitel|iba pre predplatiteľov
        |γίνετε συνδρομητής|μόνο για συνδρομητές|είστε ήδη συνδρομητής
        |оформите подписку|оформить подписку|уже подписаны|только для подписчиков|по подписке
        |доступ к материалу|читать далее|в месяц|оформіть передплату|лише для передплатників
        |abone ol|abone olun|zaten abone misiniz|sadece aboneler|okumaya devam|sınırsız erişim
        |اشترك الآن|للمشتركين فقط|مشترك بالفعل|لمتابعة القراءة|هل أنت مشترك
        |הירשמו למנוי|למנויים בלבד|כבר מנוי|להמשך קריאה|לקריאת הכתבה המלאה|רכשו מנוי
        |सब्सक्राइब करें|पहले से सब्सक्राइबर|पूरा पढ़ने के लिए|สมัครสมาชิก|เฉพาะสมาชิก
        |有料会員|会員限定|続きを読む|残り文字|無料登録|ログイン|订阅后|立即订阅|会员专享|阅读全文|訂閱
        |구독하기|구독자 전용|이미 구독|유료 회원|전문을 보시려면
        """,
    "login_or_captcha": """
        sign in|log in|forgot password|forgot your password|create an account
        |create a free account|not a robot|are you a robot|you are human|verify you are
        |enable javascript|javascript is disabled|disable your ad blocker|unusual traffic
        |checking your browser|security check|security service|captcha|please verify
        |ray id|performance security by|just a moment|automated access|enable cookies
        |remember me|email address|your password|confirm your identity
        |anmelden|passwort vergessen|angemeldet bleiben|kein roboter|javascript aktivieren
        |sicherheitsüberprüfung|konto erstellen
        |mot de passe oublié|se connecter|activer javascript|connectez vous|créer un compte
        |pas un robot|vérification de sécurité|restez connecté
        |iniciar sesión|olvidaste tu contraseña|olvidó su contraseña|no soy un robot|crear una cuenta
        |crea una cuenta|active javascript|correo electrónico|recordarme
        |entrar na sua conta|esqueceu a senha|esqueceu sua senha|não sou um robô|criar conta
        |password dimenticata|accedi|non sono un robot|crea un account
        |inloggen|wachtwoord vergeten|geen robot|account aanmaken
        |zaloguj się|nie pamiętasz hasła|nie jestem robotem|załóż konto|zapomniałeś hasła
        |logga in|glömt lösenord|logg inn|glemt passord|log ind|glemt adgangskode
        |přihlásit se|zapomenuté heslo|nejsem robot|σύνδεση|ξεχάσατε τον κωδικό|δεν είμαι ρομπότ
        |включите javascript|забыли пароль|войдите|я не робот|войти в аккаунт|проверка браузера
        |увійдіть|забули пароль
        |giriş yap|şifremi unuttum|robot değilim|hesap oluştur
        |تسجيل الدخول|نسيت كلمة المرور|لست روبوت|لست برنامج روبوت|إنشاء حساب
        |התחברות|שכחתי סיסמה|אני לא רובוט|שכחת סיסמה
        |लॉग इन करें|पासवर्ड भूल गए|मैं रोबोट नहीं हूं|เข้าสู่ระบบ|ลืมรหัสผ่าน|ฉันไม่ใช่โปรแกรมอัตโนมัติ
        |ログイン|パスワードをお忘れ|ロボットではありません|新規登録|登录|忘记密码|我不是机器人|验证码|注册账号
        |로그인|비밀번호 찾기|로봇이 아닙니다|회원가입
        """,
    "error_page": """
        not found|404|403 forbidden|access denied|you are looking for|you requested
        |no longer available|not available|does not exist|has been removed|been moved
        |internal server error|service unavailable|temporarily unavailable|back to the homepage
        |back to homepage|return to the homepage|go to homepage|too many requests|bad gateway
        |something went wrong|try again later|page not found|this page|under maintenance
        |nicht gefunden|existiert nicht|zur startseite|nicht mehr verfügbar|gesuchte seite
        |page introuvable|n existe plus|n existe pas|retour à l accueil|page demandée|oups
        |página no encontrada|no existe|volver al inicio|no se encuentra|no se ha encontrado|la página que busca
        |página não encontrada|não existe|voltar à página inicial|voltar para a home
        |pagina non trovata|torna alla home|non esiste|non è stata trovata
        |pagina niet gevonden|bestaat niet|terug naar de homepage|niet beschikbaar
        |nie znaleziono strony|strona nie istnieje|nie istnieje|wróć na stronę główną|strona główna
        |sidan hittades inte|sidan finns inte|till startsidan|siden finnes ikke|til forsiden
        |siden blev ikke fundet|sivua ei löytynyt|etusivulle
        |stránka nenalezena|stránka nebyla nalezena|stránka neexistuje|hlavní stránku|domovskú stránku
        |η σελίδα δεν βρέθηκε|αρχική σελίδα|δεν υπάρχει
        |страница не найдена|на главную|не существует|была удалена|сторінку не знайдено|на головну
        |страницата не е намерена|към началната страница
        |ana sayfa|anasayfa|sayfa yok|sayfa bulunamadı|aradığınız sayfa|halaman tidak ditemukan
        |الصفحة غير موجودة|الصفحة الرئيسية|لم يتم العثور|הדף לא נמצא|לדף הבית|העמוד לא נמצא
        |पेज नहीं मिला|पृष्ठ नहीं मिला|होम पेज|ไม่พบหน้า|กลับหน้าแรก|กลับสู่หน้าแรก
        |页面不存在|已不存在|网站主页|找不到页面|返回首页|您访问的页面|找不到網頁|返回首頁|ページが見つかりません|トップページ|お探しのページ
        |페이지를 찾을 수 없습니다|홈으로|존재하지 않는 페이지
        """,
}
