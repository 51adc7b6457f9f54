"""Time zones by the names that people type: `Europe/Dublin`, `dublin`, `new york`."""

from functools import cache
from zoneinfo import available_timezones

_LEFT_OUT = ("Etc/", "SystemV/", "posix/", "right/", "US/")


def found(text: str) -> tuple[str, ...]:
    """The zones that the text names: one, several that end in it, or none."""
    wanted = "_".join(text.split()).casefold()
    if wanted in ("utc", "gmt", "z"):
        return ("UTC",)
    whole, places = _zones()
    if wanted in whole:
        return (whole[wanted],)
    return places.get(wanted, ())


@cache
def _zones() -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    names = sorted(available_timezones())
    places: dict[str, tuple[str, ...]] = {}
    for name in names:
        if "/" in name and not name.startswith(_LEFT_OUT):
            place = name.rpartition("/")[2].casefold()
            places[place] = (*places.get(place, ()), name)
    return {name.casefold(): name for name in names}, places
