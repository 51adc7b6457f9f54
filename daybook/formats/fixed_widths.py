"""Tables whose cells are padded with blanks: where the columns begin, and which words above stand over which column."""

import re
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import numpy as np

_JUDGED = 1000
_FEWEST = 3


def guess_widths(lines: Sequence[str], begins: Callable[[str], bool] | None = None) -> tuple[int, ...]:
    """The width of every column but the last, in characters; empty where the lines show no columns.

    Columns end where all rows have a blank. A gap belongs to the column on its right, because numbers stand at the
    right edge of theirs. `begins` tells which lines are rows; all are where it is left out.
    """
    rows = [line.expandtabs() for line in lines[-_JUDGED:] if line.strip() and (begins is None or begins(line))]
    if len(rows) < _FEWEST:
        return ()
    longest = max(map(len, rows))
    if longest > 5000:
        return ()
    letters = np.array([list(row.ljust(longest)) for row in rows])
    full = (letters != " ").any(axis=0)
    ends = np.flatnonzero(full[:-1] & ~full[1:]) + 1
    if full[-1]:
        ends = np.append(ends, longest)
    starts = np.concatenate([[0], ends[:-1]])
    return tuple(int(width) for width in ends - starts) if len(ends) > 1 else ()


def begins_a_row(line: str, is_time: Callable[[str], bool]) -> bool:
    """Whether a line begins with a time or a number."""
    words = line.split()
    return is_time(words[0]) or is_time(" ".join(words[:2])) or words[0].lstrip("+-").replace(".", "", 1).isdecimal()


def names_over(lines: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The names of the columns, from the words that stand over them in one or more lines: Temp over Out is "Temp Out".

    A word goes to the column of which it covers most.
    """
    edges = [0, *accumulate(widths[:-1]), max([sum(widths), *map(len, lines)])]
    names: list[list[str]] = [[] for _ in widths]
    for line in lines:
        for word in re.finditer(r"\S+", line.expandtabs()):
            covered = [min(word.end(), end) - max(word.start(), start) for start, end in pairwise(edges)]
            names[covered.index(max(covered))].append(word[0])
    return [" ".join(words) for words in names]
