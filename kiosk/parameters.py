"""Numbers that a caller may set: default, range, unit and meaning stand where they are defined.

A set of parameters is a frozen dataclass whose fields are made by `option`; `parameters_of` is
its table, and `chosen` builds one from a model's defaults and a caller's wishes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from kiosk.errors import InvalidRequest

NUMBER, WHOLE, SWITCH = "number", "whole", "switch"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One number that may be set.

    Attributes:
        kind: "number", "whole" (a whole number) or "switch" (0 = off, 1 = on).
        default: what holds when neither the model nor the caller says otherwise.
        minimum, maximum: the range, ends included.
        unit: "px", "px2" (an area), or "" for a plain number.
        meaning: what it does, in one sentence.
    """

    name: str
    kind: str
    default: float
    minimum: float
    maximum: float
    unit: str
    meaning: str

    def fault(self, value: float) -> str:
        """What is wrong with a value, in one sentence; "" when nothing is."""
        if self.kind == SWITCH and value not in (0, 1):
            return f"The parameter '{self.name}' must be 0 (off) or 1 (on), not {value:g}."
        low, high = f"{self.minimum:g}", f"{self.maximum:g}"
        if not math.isfinite(value) or not self.minimum <= value <= self.maximum:
            return (
                f"The parameter '{self.name}' must be a number from {low} to {high}, not {value:g}."
            )
        if self.kind == WHOLE and value != int(value):
            return (
                f"The parameter '{self.name}' must be a whole number from {low} to {high}, not"
                f" {value:g}."
            )
        return ""


def option(
    default: float,
    meaning: str,
    *,
    minimum: float = 0.0,
    maximum: float = 1.0,
    unit: str = "",
    kind: str = NUMBER,
    kw_only: bool = False,
) -> Any:
    """A dataclass field that is a `Parameter`."""
    table = {
        "kind": kind,
        "default": default,
        "minimum": minimum,
        "maximum": maximum,
        "unit": unit,
        "meaning": meaning,
    }
    return field(default=default, metadata=table, kw_only=kw_only)


def parameters_of(kind: type) -> tuple[Parameter, ...]:
    """The table of a dataclass made of options: its own in the order of its fields, then shared."""
    own_first = sorted(fields(kind), key=lambda item: bool(item.kw_only))
    return tuple(Parameter(name=item.name, **item.metadata) for item in own_first)


def chosen(kind: type[T], defaults: Mapping[str, float], wishes: Mapping[str, float]) -> T:
    """A set of parameters: its own defaults, then the model's, then the caller's.

    Args:
        kind: the dataclass.
        defaults: of the model; names that are not of this set are left out.
        wishes: of the caller.

    Raises:
        InvalidRequest: a wish has an unknown name or is out of range.
    """
    table = {parameter.name: parameter for parameter in parameters_of(kind)}
    for name, value in wishes.items():
        if name not in table:
            raise InvalidRequest(
                f"There is no parameter '{name}'. The parameters are: {', '.join(sorted(table))}.",
                reason="UNKNOWN_PARAMETER",
                field="parameters",
            )
        if fault := table[name].fault(value):
            raise InvalidRequest(fault, reason="PARAMETER_OUT_OF_RANGE", field="parameters")
    known = {name: value for name, value in defaults.items() if name in table}
    return kind(**{**known, **wishes})
