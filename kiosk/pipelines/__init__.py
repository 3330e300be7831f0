"""Recipes that join imaging and ports. `PIPELINES` is the registry: name -> module.

A pipeline is a module with four functions:
    check(source, card, request, ...) can this image be worked on as asked? (InvalidRequest if not)
    plan(context)                     -> parts, notes
    run(context, part)                do one part
    join(context)                     write the results
"""

from __future__ import annotations

from types import ModuleType

from kiosk.pipelines import segmentation, tracking

PIPELINES: dict[str, ModuleType] = {"segmentation": segmentation, "tracking": tracking}
