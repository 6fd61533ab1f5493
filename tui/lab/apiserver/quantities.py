"""Resource quantities ("2", "500m", "4Gi") in the canonical form of `resource.Quantity`."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Decimal

BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FORM = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?$")
_BAD = (
    "quantities must match the regular expression "
    r"'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


def canonical_quantity(value: str | int | float) -> str:
    """`value` with the largest suffix that leaves an integer, as the server writes it; ValueError if it is none."""
    text = str(value)
    match = _FORM.match(text)
    if not match:
        raise ValueError(_BAD)
    number, suffix = Decimal(match[1]), match[2] or ""
    if suffix in BINARY:
        return _binary(number * 1024 ** BINARY[suffix])
    exponent = int(suffix[1:]) if suffix[:1] in "eE" and suffix not in ("", "E") else DECIMAL[suffix]
    amount = number * Decimal(10) ** exponent
    if suffix[:1] in "eE" and suffix not in ("", "E"):
        return _scaled(amount, lambda power: f"e{power}" if power else "")
    names = {power: name for name, power in DECIMAL.items()}
    return _scaled(amount, lambda power: names[power])


def amount_of(quantity: str) -> Decimal:
    """The number that a canonical quantity stands for."""
    match = _FORM.match(quantity)
    assert match is not None
    number, suffix = Decimal(match[1]), match[2] or ""
    if suffix in BINARY:
        return number * Decimal(1024 ** BINARY[suffix])
    exponent = int(suffix[1:]) if suffix[:1] in "eE" and suffix not in ("", "E") else DECIMAL[suffix]
    return number.scaleb(exponent)


def whole_millis(quantity: str) -> str:
    """A canonical quantity rounded up to thousandths, as the amounts of containers are."""
    millis = amount_of(quantity) * 1000
    if millis == millis.to_integral_value():
        return quantity
    return canonical_quantity(f"{millis.to_integral_value(rounding=ROUND_UP)}m")


def _binary(amount: Decimal) -> str:
    if amount == 0:
        return "0"
    if abs(amount) < 1024 and amount != amount.to_integral_value():
        return _scaled(amount, lambda power: {v: k for k, v in DECIMAL.items()}[power])
    whole = int(amount.to_integral_value(rounding=ROUND_UP))
    for name, power in sorted(BINARY.items(), key=lambda item: -item[1]):
        if whole % 1024**power == 0:
            return f"{whole // 1024**power}{name}"
    return str(whole)


def _scaled(amount: Decimal, suffix: object) -> str:
    if amount == 0:
        return "0"
    assert callable(suffix)
    for power in (18, 15, 12, 9, 6, 3, 0, -3, -6, -9):
        scaled = amount.scaleb(-power)
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{suffix(power)}"
    return f"{int((amount * 10**9).to_integral_value(rounding=ROUND_UP))}{suffix(-9)}"
