"""What the name of a column says of it: that it holds times, or something that only looks like them."""

import re
from collections.abc import Sequence

_DATE_PATTERN = re.compile(
    r"(?i)\b(d{1,2}|m{1,2}|y{2,4}|j{2,4}|t{2})([-./ ])(d{1,2}|m{1,3}|t{2})\2(d{1,2}|y{2,4}|j{2,4})\b"
)
EPOCH_NAME = re.compile(
    r"(?i)\b(time|date|epoch|unix|ts|timestamp|posix|created|updated|recorded|measured|sampled|utc|when|datum|zeit|tijd"
    r"|clock)|time$|date$|_at$|_ts$|^t$"
)
_TIME_WORDS = re.compile(
    r"(?i)\b(date|time|timestamp|datetime|date_?time|time_?stamp|ts|tmstamp|utc|datum|tijd|zeit|uhrzeit|zeitstempel"
    r"|fecha|hora|heure|tid|data|ora|yyyymmdd[hms]*|day)\b|^time|time$|^date|date$"
)
# Clock times and counts that say something else than when the row is: sunrise, how long something took.
NO_CLOCK = re.compile(
    r"(?i)sun ?(rise|set)|moon ?(rise|set)|sonnen(auf|unter)gang|dawn|dusk|duration|dauer\b|dur[ée]e|elapsed|laufzeit"
    r"|up ?time|run ?time|down ?time|lifetime|millis|\b(max|maximum|minimum|peak|tmax|tmin)\b"
)
NO_DATE = re.compile(r"(?i)(^|[ _.-])(id|serial|serien?nummer|number|no|nr|nummer|code|index|batch|lot|firmware)\W*$")


def names_a_time(cell: str) -> bool:
    """Whether a header cell says that its column holds times."""
    return _TIME_WORDS.search(cell.strip()) is not None or _DATE_PATTERN.search(cell) is not None


def is_called_otherwise(headers: Sequence[Sequence[str] | None], column: int) -> bool:
    """Whether the name of a column says that its numbers are no times: an identity, or how long something took."""
    return called(headers, column, NO_CLOCK) or called(headers, column, NO_DATE)


def called(headers: Sequence[Sequence[str] | None], column: int, words: re.Pattern[str]) -> bool:
    """Whether a line that may be the header has such a name over the column."""
    return any(header and column < len(header) and words.search(header[column].strip()) for header in headers)
