"""What telephones put into a text besides letters: blanks of every width, other digits, other minus signs."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

# Blanks that do not break, between groups of three digits: 1 234 567. An ordinary blank is no such mark.
_GROUPED = re.compile(r"(?<![\d.,'’])(\d{1,3})((?:[\u00a0\u2007\u2009\u202f]\d{3})+)(?!\d)")
_NOT_DIGITS = re.compile(r"\D")
_STOP = re.compile(r"(?<=\w\w)[.!?…]+$")
_LOOKS = re.compile("[\ufe00-\ufe0f]")  # one telephone writes these behind an emoji, another one does not
_MARKS = str.maketrans(
    {
        **dict.fromkeys("−﹣－–‐‑⁻˗➖", "-"),
        **dict.fromkeys("＋﹢⁺➕", "+"),
        **dict.fromkeys("．․", "."),
        **dict.fromkeys("，﹐٫", ","),
        **dict.fromkeys("’‘＇ʼ", "'"),
        **dict.fromkeys("：﹕", ":"),
        **dict.fromkeys("／", "/"),
        **dict.fromkeys("＝﹦", "="),
        "％": "%",
        "º": "°",
        "℃": "°C",
        "℉": "°F",
    }
)
_TOKEN = re.compile(r'"([^"]+)"|“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»|(\S+)')


@dataclass(frozen=True)
class Token:
    """One word of a line. `plain`: with ASCII digits and marks, for reading; a quoted one is only a name."""

    text: str
    quoted: bool = False

    @property
    def plain(self) -> str:
        return "" if self.quoted else plain(self.text)


def lines_of(text: str) -> list[tuple[int, str]]:
    """The lines that hold anything, with their numbers; without characters that cannot be shown or stored."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        shown = "".join(character for character in line if character.isprintable() or character.isspace())
        if shown.strip():
            found.append((number, shown.strip()))
    return found


def tokens_of(line: str) -> list[Token]:
    """The words of a line; what stands in quotation marks is one."""
    tokens = []
    for match in _TOKEN.finditer(_GROUPED.sub(lambda found: found[1] + _NOT_DIGITS.sub("", found[2]), line)):
        quoted = next((part for part in match.groups()[:4] if part is not None), None)
        if quoted is not None and quoted.strip():
            tokens.append(Token(" ".join(quoted.split()), quoted=True))
        elif match[0].strip():
            tokens += [Token(part) for part in match[0].split()]
    return tokens


def plain(text: str) -> str:
    """Full-width and other digits and marks as ASCII has them."""
    text = text.translate(_MARKS)
    return text if text.isascii() else "".join(_digit(character) for character in text)


def _digit(character: str) -> str:
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)


@lru_cache(maxsize=8192)  # a message of a thousand lines asks for every sensor a thousand times
def key(name: str) -> str:
    """What two names have in common that differ in case, blanks, width of letters, or in how an emoji is to look."""
    return "".join(_LOOKS.sub("", unicodedata.normalize("NFKC", name)).casefold().split())


def without_stop(name: str) -> str:
    """The name without what ends a sentence: telephones type a full stop by themselves."""
    return _STOP.sub("", name)
