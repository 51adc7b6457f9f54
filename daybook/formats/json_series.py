"""What stands around the inner arrays of a JSON file, as the name and the unit of the sensor that each belongs to."""

import re
from typing import Any

from daybook.formats.batch import shown
from daybook.formats.cells import MAX_NAME, is_number
from daybook.formats.json_survey import cell_text
from daybook.formats.layout import FormatError

SENSOR, UNIT = "sensor", "unit"
_UNIT_KEYS = ("unit", "units", "uom", "unit_of_measurement", "unitcode", "unit_code")
# Keys that name a sensor by themselves, where they tell the arrays apart.
_NAME_KEYS = tuple(
    """sensor sensor_name sensorname entity_id target metric series channel parameter parameter_name parametername
    variable variable_name variablename name label id""".split()
)


def _last(key: str) -> str:
    return key.rpartition(".")[2].lower()


class Series:
    """Names the sensor of each inner array by what stands around it, so that no two have the same name by accident.

    outers: what stands around those in the first part of the file.
    """

    def __init__(self, outers: list[dict[str, Any]]) -> None:
        texts = [_texts(outer) for outer in outers]
        self._has_unit = any(_last(key) in _UNIT_KEYS for outer in outers for key in outer)
        self._keys = _telling_keys(texts)
        self._named: dict[str, tuple[str, ...]] = {}
        self._alone = False

    def columns(self, own: list[str]) -> list[str]:
        """The names of the columns that stand before those of the records, which are `own`."""
        if not self._keys:
            return []
        return ["series" if SENSOR in own else SENSOR] + ([UNIT] if self._has_unit and UNIT not in own else [])

    def only_one(self) -> None:
        """Says that there is one array, whose records are wide; `cells` raises FormatError for another."""
        self._keys, self._alone = [], True

    def cells(self, outer: dict[str, Any]) -> list[str]:
        """Name and unit for the array with that around it."""
        texts = _texts(outer)
        identity = tuple(texts.values())
        if self._alone:
            if self._named.setdefault("", identity) != identity:
                raise FormatError(
                    "several_sources",
                    f'the records of "{shown(" ".join(identity))}" have several values each, as have those of others: '
                    "sensors of the same name would be mixed up",
                    "Upload the records of each on their own.",
                )
            return []
        name = " ".join(texts[key] for key in self._keys if key in texts)
        if not name or self._named.setdefault(name, identity) != identity:
            name = " ".join(dict.fromkeys(identity))  # another one is called the same: then with all that is said of it
        unit = next((cell_text(value) for key, value in outer.items() if _last(key) in _UNIT_KEYS), "")
        return [name, unit]


def _texts(outer: dict[str, Any]) -> dict[str, str]:
    """What may name a sensor: texts, or numbers where there are none."""
    cells = {key: cell_text(value).strip() for key, value in outer.items() if isinstance(value, str)}
    cells = {
        key: cell for key, cell in cells.items() if cell and len(cell) <= MAX_NAME and _last(key) not in _UNIT_KEYS
    }
    words = {key: cell for key, cell in cells.items() if not is_number(cell) and not re.match(r"\d{4}-\d\d-\d\d", cell)}
    return words or cells


def _telling_keys(outers: list[dict[str, str]]) -> list[str]:
    """One key that tells the arrays apart; or all that differ; or, where nothing does, all there are."""
    seen: dict[str, set[str]] = {}
    for outer in outers:
        for key, text in outer.items():
            seen.setdefault(key, set()).add(text)
    kinds = len({tuple(outer.items()) for outer in outers})
    named = sorted((key for key in seen if _last(key) in _NAME_KEYS), key=lambda key: _NAME_KEYS.index(_last(key)))
    for key in named:
        if len(seen[key]) == kinds and all(key in outer for outer in outers):
            return [key]
    return [key for key in seen if len(seen[key]) > 1] or list(seen)
