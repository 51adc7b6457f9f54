"""Times that are numbers: since 1970, or days as spreadsheets count them."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# How many of the number's digits stand before the whole microsecond's end: as a power of ten.
_DIGITS_TO_MICROS = {"s": 6, "ms": 3, "us": 0, "ns": -3}
# Up to 18 digits fit into 64 bits; today in nanoseconds has 19, the first of them a 1.
_NUMBER = r"^\s*[+-]?([0-9]{1,18}|[1-8][0-9]{18})([.,][0-9]*)?\s*$"
_DAYS_FROM_1900_TO_1970 = 25569  # since 30 December 1899, because spreadsheets think that 1900 was a leap year
_MS_OF_DAY, _US_OF_MS = 86_400_000, 1000
_MANY = np.int64(2**63 - 1)


def parse_epoch(texts: pa.Array, epoch: Literal["s", "ms", "us", "ns", "excel"]) -> tuple[Int64s, Bools]:
    """Microseconds since 1970 and which texts are such numbers. Digits after the microsecond are cut off.

    Days of a spreadsheet are rounded to the millisecond, because one of their fifteen digits is worth no less.
    """
    valid = pc.fill_null(pc.match_substring_regex(texts, _NUMBER), fill_value=False)
    plain = pc.replace_substring(pc.utf8_trim_whitespace(pc.if_else(valid, texts, "0")), ",", ".")
    is_valid = valid.to_numpy(zero_copy_only=False)
    if epoch == "excel":
        days = pc.cast(plain, pa.float64()).to_numpy(zero_copy_only=False) - _DAYS_FROM_1900_TO_1970
        is_valid &= np.abs(days) < 10_000_000
        return np.rint(np.where(is_valid, days, 0) * _MS_OF_DAY).astype(np.int64) * _US_OF_MS, is_valid
    return _micros(plain, _DIGITS_TO_MICROS[epoch], is_valid)


def _micros(plain: pa.Array, power: int, valid: Bools) -> tuple[Int64s, Bools]:
    digits = pc.replace_substring_regex(plain, r"[.].*$|^[+]", "")
    whole = pc.cast(digits, pa.int64()).to_numpy(zero_copy_only=False)
    if power <= 0:
        micros = whole // 10**-power
        return micros, valid
    valid &= np.abs(whole) <= _MANY // 10**power
    fraction = pc.replace_substring_regex(pc.replace_substring_regex(plain, r"^[^.]*[.]?", ""), "^(.{6}).*$", r"\1")
    micros = np.where(valid, whole, 0) * 10**power
    if pc.any(pc.not_equal(fraction, "")).as_py():
        part = pc.cast(pc.utf8_rpad(fraction, 6, "0"), pa.int64()).to_numpy(zero_copy_only=False) // 10 ** (6 - power)
        below = pc.starts_with(plain, "-").to_numpy(zero_copy_only=False)
        micros = micros + np.where(below, -part, part)
    return micros, valid
