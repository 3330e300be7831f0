"""The table of parameters, and how a set of them is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.errors import InvalidRequest
from kiosk.heads import HEADS, ClassParameters, FlowParameters, InstanceParameters, StarParameters
from kiosk.imaging.classes import label_classes
from kiosk.imaging.stars import areas, propose, suppress
from kiosk.parameters import Parameter, chosen, parameters_of
from kiosk.testing import make_card

EVERY = [(head, item) for head in HEADS for item in parameters_of(HEADS[head].parameters)]


@pytest.mark.parametrize(("head", "item"), EVERY, ids=lambda v: getattr(v, "name", v))
def test_defaults_are_in_range_and_meanings_are_sentences(head: str, item: Parameter) -> None:
    assert item.fault(item.default) == ""
    assert item.fault(item.maximum) == item.fault(item.minimum) == ""
    assert item.meaning[0].isupper() or item.meaning[0].isdigit()
    assert item.meaning.endswith(".")
    assert item.unit in ("", "px", "px2")
    assert item.name.endswith("_px") == (item.unit != "")


def test_places_of_the_first_five_are_part_of_the_promise() -> None:
    positional = InstanceParameters(0.4, 1.5, 0.25, 0.3, 20)
    assert (positional.foreground_threshold, positional.min_area_px) == (0.4, 20)


def test_the_caller_wins_over_the_model_and_the_model_over_the_table() -> None:
    found = chosen(
        InstanceParameters, {"merge_height": 0.2, "min_area_px": 5, "old": 1}, {"min_area_px": 9}
    )
    assert InstanceParameters(merge_height=0.2, min_area_px=9) == found


@pytest.mark.parametrize(
    ("kind", "wishes", "sentence"),
    [
        (FlowParameters, {"steps": 2.5}, "must be a whole number from 1 to 5000, not 2.5"),
        (FlowParameters, {"steps": 0}, "from 1 to 5000"),
        (ClassParameters, {"logits": 0.5}, r"must be 0 \(off\) or 1 \(on\)"),
        (ClassParameters, {"steps": 3}, "no parameter 'steps'"),
        (InstanceParameters, {"expand_px": float("nan")}, "not nan"),
    ],
)
def test_wishes_that_cannot_be(kind: type, wishes: dict[str, float], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        chosen(kind, {}, wishes)


def test_a_card_lists_its_own_defaults() -> None:
    card = make_card(head="stars", postprocessing={"grid_px": 2.0})
    listed = {item.name: item.default for item in card.parameters}
    assert listed["grid_px"] == 2.0
    assert listed["overlap_threshold"] == StarParameters().overlap_threshold


# ---------------------------------------------------------------- details of single heads


def circles(radius_px: float, rays: int = 64) -> np.ndarray:
    return np.full((rays, 40, 60), radius_px, np.float32)


@pytest.mark.parametrize(("apart_px", "left"), [(4, 1), (9, 1), (11, 2), (20, 2)])
def test_a_circle_goes_when_it_shares_too_much(apart_px: int, left: int) -> None:
    """Two circles of radius 10 share 0.4 of their area at 9.8 px."""
    foreground = np.zeros((40, 60), np.float32)
    foreground[20, 15], foreground[20, 15 + apart_px] = 0.9, 0.8
    stars = propose(foreground, circles(10), 0.5, 1)
    kept = suppress(stars, 0.4)
    assert left == kept.size
    assert kept[0] == 0
    assert areas(stars.rays)[0] == pytest.approx(np.pi * 100, rel=0.005)


def test_a_small_polygon_in_a_large_one_goes() -> None:
    foreground = np.zeros((40, 60), np.float32)
    foreground[20, 15], foreground[20, 22] = 0.9, 0.8
    rays = circles(12)
    rays[:, 20, 22] = 3
    assert suppress(propose(foreground, rays, 0.5, 1), 0.4).size == 1


def pieces(winners: list[str], **changes: float) -> list[list[int]]:
    """Labels of a drawn map of winning classes."""
    drawn = np.array([[int(c) for c in row] for row in winners])
    classes = (np.arange(drawn.max() + 1)[:, None, None] == drawn).astype(np.uint8) * 200
    return label_classes(classes, ClassParameters(min_area_px=0, **changes)).tolist()


def test_classes_that_touch_stay_apart() -> None:
    assert pieces(["1120", "1122"]) == [[1, 1, 2, 0], [1, 1, 2, 2]]
    assert pieces(["1120", "1122"], foreground_class=2) == [[0, 0, 1, 0], [0, 0, 1, 1]]


def test_a_boundary_goes_to_the_nearest_core() -> None:
    assert pieces(["1122112"], boundary_class=2) == [[1, 1, 1, 2, 2, 2, 2]]


def test_a_boundary_without_a_core_is_nothing() -> None:
    assert pieces(["1200022"], boundary_class=2) == [[1, 1, 0, 0, 0, 0, 0]]


def test_logits_get_a_softmax_before_the_threshold() -> None:
    classes = np.array([[[0.0, 0.0]], [[0.5, 5.0]]], np.float32)
    rules = ClassParameters(min_area_px=0, class_threshold=0.9, logits=1)
    assert label_classes(classes, rules).tolist() == [[0, 1]]
