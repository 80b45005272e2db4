"""Times as people write them: 90s, 45m, 1h30m, 1:30:00, 2d."""

from __future__ import annotations

import math
import re

from grokmap.errors import SpecError, short

FORMS = "write 90s, 45m, 1h30m, 2d or 1:30:00"

_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_UNITS = {  # the largest first: that is how they have to follow each other
    r"d|days?": 86400,
    r"h|hrs?|hours?": 3600,
    r"m|mins?|minutes?": 60,
    r"s|secs?|seconds?": 1,
}
_PARTS = re.compile(
    r"\s*".join(rf"(?:{_NUMBER}\s*(?:{names}))?" for names in _UNITS), re.ASCII
)
# As Slurm writes it: days-hours:minutes:seconds.
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d(?:\.\d*)?)", re.ASCII)
_PLAIN = re.compile(_NUMBER, re.ASCII)
MOST_DAYS = 999


def seconds_of(text: str | None, option: str) -> float:
    """Seconds of a time in one of `FORMS`, or a number of seconds; inf: no end.

    Args:
      text: as typed; None where the option was not given, which has no end either.
      option: its name, for the message.

    Raises:
      SpecError: not of that form.
    """
    written = "inf" if text is None else text.strip().lower()
    if written == "inf":
        return math.inf
    if _PLAIN.fullmatch(written):
        return float(written)
    match = _PARTS.fullmatch(written) or _CLOCK.fullmatch(written)
    if written and match:
        parts = zip(match.groups(), _UNITS.values(), strict=True)
        return sum(float(number) * unit for number, unit in parts if number)
    raise SpecError(f"{option} {short(repr(text))}: not a time; {FORMS}")


def human_time(seconds: float) -> str:
    """90 -> '1m30s'; unknown (NaN, inf) -> '-'; of what is over (below 0) '0s'."""
    if not math.isfinite(seconds):
        return "-"
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02d}h" if days < MOST_DAYS else f">{MOST_DAYS}d"
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
