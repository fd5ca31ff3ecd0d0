"""Numbers in a text, as digits or words, with their units."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from agent.forms.folding import fold

_ONES: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS: Final = {word: n for n, word in enumerate(_ONES)} | {w: 20 + 10 * n for n, w in enumerate(_TENS)}
_SCALES: Final = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_OTHERS: Final = {"none": 0, "both": 2, "pair": 2, "couple": 2, "dozen": 12, "single": 1, "half": 0.5}
# Unit -> its dimension and its size in the dimension's base unit.
_UNITS: Final = {
    "mm": ("m", 1e-3), "cm": ("m", 1e-2), "m": ("m", 1.0), "km": ("m", 1e3), "inch": ("m", 0.0254),
    "ft": ("m", 0.3048), "mile": ("m", 1609.344), "yard": ("m", 0.9144), "mg": ("g", 1e-3), "g": ("g", 1.0),
    "kg": ("g", 1e3), "lb": ("g", 453.592), "oz": ("g", 28.3495), "ml": ("l", 1e-3), "cl": ("l", 1e-2),
    "l": ("l", 1.0), "sec": ("s", 1.0), "min": ("s", 60.0), "h": ("s", 3600.0), "%": ("%", 1.0),
    "$": ("$", 1.0), "cent": ("$", 0.01), "£": ("£", 1.0), "€": ("€", 1.0), "¥": ("¥", 1.0), "c": ("c", 1.0),
    "f": ("f", 1.0),
}  # fmt: skip
_SPELLINGS: Final = {
    "millimeter": "mm", "millimetre": "mm", "centimeter": "cm", "centimetre": "cm", "meter": "m",
    "metre": "m", "kilometer": "km", "kilometre": "km", "inches": "inch", "foot": "ft",
    "feet": "ft", "mi": "mile", "yd": "yard", "gram": "g", "gramme": "g", "milligram": "mg",
    "kilogram": "kg", "kilo": "kg", "pound": "lb", "lbs": "lb", "ounce": "oz", "milliliter": "ml",
    "millilitre": "ml", "liter": "l", "litre": "l", "second": "sec", "minute": "min", "mins": "min",
    "hour": "h", "hr": "h", "hrs": "h", "percent": "%", "dollar": "$", "usd": "$", "euro": "€", "eur": "€",
    "°c": "c", "°f": "f", "celsius": "c", "fahrenheit": "f",
}  # fmt: skip
_COINS: Final = {"$": "$", "£": "£", "€": "€", "¥": "¥"}
_ALL_WORDS: Final = {*_WORDS, *_SCALES, *_OTHERS}
_WORD: Final = "(?:" + "|".join([*_WORDS, *_SCALES, *_OTHERS]) + r")\b"
_FRACTION: Final = re.compile(r"\\d?frac\s*\{\s*(\d{1,9})\s*\}\s*\{\s*(\d{1,9})\s*\}")
_DIGIT_PATTERN: Final = (
    r"(?P<sign>(?<![\w)])-)?(?P<coin>[$£€¥])?\s?"
    r"(?:(?P<whole>(?<![\d.,/])\d{1,3})\s(?P<part>1?[1-9])/(?P<parts>2|3|4|5|6|8|16)(?![\d/.])|"
    r"(?P<over>(?<![\d.,/])\d{1,9})\s?/\s?(?P<under>[1-9]\d{0,8})(?![\d/.])|"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|(?<!\d)\.\d+))(?:st\b|nd\b|rd\b|th\b)?"
)
_DIGITS: Final = re.compile(_DIGIT_PATTERN)
_ANY: Final = re.compile(
    rf"{_DIGIT_PATTERN}|(?<!the )(?<!this )(?<!that )(?<!no )\b{_WORD}"
    rf"(?:[\s-]+(?:and\s+)?{_WORD})*(?! of the\b)"
)
_UNIT: Final = re.compile(r"[\s-]?(°\s?[a-zA-Z]|[a-zA-Z]+|[%$£€¥])")


@dataclass(frozen=True)
class Quantity:
    """A number in a text.

    Attributes:
        value: as it is written.
        unit: its unit's short name, "" without a known one.
        start, end: its place in the text.
    """

    value: float
    unit: str = ""
    start: int = 0
    end: int = 0

    def equals(self, other: Quantity, tolerance: float = 1e-9) -> bool:
        """Returns whether both are the same number; units count where both have one.

        >>> Quantity(130, "mm").equals(Quantity(13, "cm")), Quantity(0.25).equals(Quantity(25, "%"))
        (True, True)
        """
        one, other_value = self.value, other.value
        if self.unit and other.unit:
            (kind, size), (other_kind, other_size) = _UNITS[self.unit], _UNITS[other.unit]
            if kind != other_kind:
                return False
            one, other_value = one * size, other_value * other_size
        elif "%" in (self.unit, other.unit):
            one, other_value = _share(self), _share(other)
        return abs(one - other_value) <= max(tolerance, 1e-9) * max(abs(one), abs(other_value))


def _share(quantity: Quantity) -> float:
    """Returns a percentage, or a fraction up to 1, in percent."""
    fraction = not quantity.unit and 0 < quantity.value < 1
    return quantity.value * 100 if fraction else quantity.value


def quantities(text: str) -> list[Quantity]:
    """Returns the numbers in `text` in their order.

    >>> [(q.value, q.unit) for q in quantities("About 1,250.5 kg, twenty-three cm or $4; two hundred")]
    [(1250.5, 'kg'), (23.0, 'cm'), (4.0, '$'), (200.0, '')]
    """
    return list(_quantities(fold(text)))


@lru_cache(maxsize=16)
def _quantities(text: str) -> tuple[Quantity, ...]:
    text = _FRACTION.sub(r"\1/\2", text.lower())
    found = []
    # Most texts have no number words, and the search for digits alone is ten times as fast.
    expression = _ANY if not _ALL_WORDS.isdisjoint(re.findall("[a-z]+", text)) else _DIGITS
    for match in expression.finditer(text):
        value = _digits(match) if match["digits"] or match["over"] or match["whole"] else _worded(match[0])
        unit, end = _COINS.get(match["coin"] or "", ""), match.end()
        if not unit and (following := _UNIT.match(text, end)):
            unit = _unit(following[1])
        found.append(Quantity(value, unit, match.start(), end))
    return tuple(found)


def plain(value: float) -> int | float:
    """Returns `value` as an int where it is whole.

    >>> plain(3.0), plain(2.5)
    (3, 2.5)
    """
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _digits(match: re.Match[str]) -> float:
    if match["whole"]:
        value = float(match["whole"]) + float(match["part"]) / float(match["parts"])
    elif match["over"]:
        value = float(match["over"]) / float(match["under"])
    else:
        value = float(match["digits"][:300].replace(",", ""))
    return -value if match["sign"] else value


def _worded(words: str) -> float:
    """Returns the value of number words: units add up, hundreds and thousands multiply."""
    total, part = 0.0, None
    for word in re.findall("[a-z]+", words.lower()):
        if word in _SCALES or word == "dozen":
            size = _SCALES.get(word, 12)
            part = min((1.0 if part is None else part) * size, 1e15)
            if size >= 1000:
                total, part = total + part, None
        elif word != "and":
            part = (part or 0.0) + _WORDS.get(word, _OTHERS.get(word, 0))
    return total + (part or 0.0)


def _unit(word: str) -> str:
    word = word.replace(" ", "").lower()
    for spelling in (word, word.rstrip("s")):
        unit = _SPELLINGS.get(spelling, spelling)
        if unit in _UNITS and not (unit in "cf" and spelling == unit):
            return unit
    return ""
