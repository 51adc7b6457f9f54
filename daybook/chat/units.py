"""Units and currencies as people type them. What is not known here is no unit, so that no word gets lost in one."""

import re
import unicodedata

SYMBOLS = "€$£¥₹₽₺₴₪₩฿₿"
_CODES = frozenset(
    """
    EUR USD GBP CHF SEK NOK DKK ISK PLN CZK HUF RON BGN TRY UAH RUB JPY CNY INR AUD NZD CAD ZAR BRL MXN ARS CLP KRW
    ILS THB SGD HKD AED SAR EGP MAD KES NGN RSD GEL
    """.split()
)
# Written in small letters these are no words.
_SMALL_CODES = frozenset("eur usd gbp chf sek nok dkk pln czk huf jpy inr aud nzd".split())
_CURRENCY_WORDS = {"euro": "EUR", "euros": "EUR", "kr": "kr", "zł": "zł", "kč": "Kč"}

# After a number and before a name: only what nobody means as the name's first word ("45 bar bill").
_BEFORE_A_NAME = frozenset("% ‰ ° °C °F K kg g mg µg t l L ml mL cl dl hl km m cm mm kWh Wh MWh kW h min".split())
_SYMBOLS = _BEFORE_A_NAME | frozenset(
    """
    C F degC degF deg lb lbs oz gal in ft mi yd ha nm µm um ug ng s sec ms µs us d yr W MW mW GW GWh kVA VA kvar var
    kVAh V mV kV A mA µA Ah mAh Ω ohm kΩ MΩ Hz kHz MHz GHz rpm J kJ MJ GJ kcal cal N kN Nm Pa hPa kPa MPa mbar bar psi
    atm mmHg dB dBA dBm ppm ppb ppt pH lx lux lm cd mol mmol cP kn kt kts kph mph km/h psu NTU FNU S mS µS uS Sv mSv
    µSv uSv Bq kBq pCi B kB MB GB TB MiB GiB bit Mbit Mbps kbps bpm m² m³ m2 m3 km² cm² cm³ ft³ Nm³ Sm³ VWC DU W/m² mmol
    """.split()
)
# Words for units, only behind a number that ends its line: the way each is kept apart from others, then its spellings.
_WORDS_OF = {
    **{"°c": "celsius", "°f": "fahrenheit", "k": "kelvin", "%": "percent", "°": "degrees degree deg"},
    **{"l": "litre litres liter liters", "gal": "gallon gallons", "cup": "cup cups", "glass": "glass glasses"},
    **{"s": "second seconds sec secs", "min": "minute minutes mins", "h": "hour hours hrs hr", "d": "day days"},
    **{"week": "week weeks", "kg": "kilo kilos kilogram kilograms", "g": "gram grams", "t": "tonne tonnes ton tons"},
    **{"m": "metre metres meter meters", "km": "kilometre kilometres kilometer kilometers", "mi": "mile miles"},
    **{"gbp": "pounds", "usd": "dollar dollars", "cent": "cent cents", "v": "volt volts", "a": "amp amps"},
    **{"w": "watt watts", "step": "step steps", "point": "point points", "piece": "piece pieces pcs"},
    **{"click": "click clicks", "count": "count counts", "times": "times"},
}
_WORDS = {word: unit for unit, spellings in _WORDS_OF.items() for word in spellings.split()}
_BY_SMALL: dict[str, str] = {}
for _unit in sorted(_SYMBOLS, reverse=True):  # those that differ in case alone are known in their own case alone
    _BY_SMALL[_unit.casefold()] = "" if _unit.casefold() in _BY_SMALL else _unit
_ALIASES = _WORDS | {
    **{"€": "eur", "£": "gbp", "$": "usd", "¥": "jpy", "c": "°c", "f": "°f", "degc": "°c", "degf": "°f"},
    **{"lx": "lux", "ohm": "ω"},
}
_TEMPERATURES = frozenset(("°c", "°f"))
_EXPONENT = re.compile(r"(?:\^?-?[1-4]|[⁻¹²³⁴]+)$")


def currency(text: str) -> str:
    """The currency that this word is, as it is kept; empty for any other word."""
    if text and text in SYMBOLS and len(text) == 1:
        return text
    if text in _CODES or text in _SMALL_CODES:
        return text.upper()
    return _CURRENCY_WORDS.get(text.casefold(), "")


def before_a_name(text: str) -> str:
    """The unit that this word is between a number and a name; empty for any other word."""
    return currency(text) or (text if text in _BEFORE_A_NAME or _is_composite(text) else "")


def attached(text: str) -> str:
    """The unit that stands directly behind a number, without a blank; empty where it is none."""
    return currency(text) or _symbol(text)


def behind(text: str) -> str:
    """The unit that this word is behind a number that ends its line; empty for any other word."""
    return attached(text) or (text if text.casefold() in _WORDS else "")


def same(one: str, other: str) -> bool:
    """Whether two ways of writing mean one unit: € and EUR, degC and °C, day and days, m³ and m3; but not mW and MW.

    Degrees alone are those that the other one names.
    """
    if one[:1] != other[:1] and {one[:1], other[:1]} == {"m", "M"}:
        return False
    keys = {_key(one), _key(other)}
    return len(keys) == 1 or ("°" in keys and keys & _TEMPERATURES != set())


def _key(unit: str) -> str:
    text = unicodedata.normalize("NFKC", unit).casefold().replace("^", "").replace(" ", "").replace("μ", "u")
    return _ALIASES.get(text, text)


def _symbol(text: str) -> str:
    if text in _SYMBOLS or _is_composite(text):
        return text
    return _BY_SMALL.get(text.casefold(), "") if len(text) > 1 else ""


def _is_composite(text: str) -> bool:
    """W/m², kg/m3, €/kWh, l/min."""
    if len(text) > 24 or not re.search(r"[/·*²³]", text):
        return False
    parts = [_EXPONENT.sub("", part) for part in re.split(r"[/·*]", text)]
    return all(part in _SYMBOLS or currency(part) != "" for part in parts)
