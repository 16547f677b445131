"""Every payload and every manifest that is drawn is valid, and whatever is valid can be drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from recyclic.core.events.event import Event
from recyclic.core.manifest import check_manifest
from recyclic.testing import strategies
from tests.unit.simulate.test_payloads import BalanceStruck, EverythingHappened

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

pytestmark = pytest.mark.slow  # hundreds of examples


@given(payload=strategies.payload(EverythingHappened))
@FEW
def test_every_payload_is_valid_and_travels(payload):
    event = EverythingHappened.model_validate(payload)
    assert EverythingHappened.model_validate_json(json.dumps(payload)) == event
    assert 100 <= payload["lines"][0]["cents"] < 110
    assert payload["lines"][0]["cents"] % 5 == 0


@given(payload=strategies.payload(BalanceStruck))
@FEW
def test_what_fits_together_is_taken_from_the_examples(payload):
    assert (payload["left"], payload["right"], payload["total"]) == (3, 4, 7)


@given(payload=strategies.payload(BalanceStruck, left=st.integers(2, 3), right=2, total=5))
@FEW
def test_fields_can_be_given_or_drawn_from_and_what_does_not_fit_is_drawn_again(payload):
    assert (payload["left"], payload["right"]) == (3, 2)


def test_extremes_are_found_that_a_plausible_sample_never_has():
    class SumCounted(Event):
        total_cents: int
        label: str = "none"

    sample = strategies.payload(SumCounted)
    assert find(sample, lambda payload: payload["total_cents"] < -(2**60))["label"]
    assert find(sample, lambda payload: not payload["label"].isascii() and payload["label"] != "none")
    assert find(sample, lambda _payload: True) == {"total_cents": 0, "label": "none"}


@given(drawn=strategies.manifest())
@FEW
def test_every_manifest_is_read_back_as_it_was_written(tmp_path_factory, drawn):
    path: Path = tmp_path_factory.getbasetemp() / "module.toml"
    path.write_text(strategies.manifest_toml(drawn), encoding="utf-8")
    read, problems = check_manifest(path, drawn.id)
    assert problems == []
    assert read == replace(drawn, path=path)


@given(drawn=strategies.manifest("paheko"))
@FEW
def test_a_manifest_can_be_one_modules(drawn):
    assert drawn.id == "paheko"
    assert all(route.startswith("/modules/paheko") for route in drawn.ui.routes)
