"""Every enabled module keeps its contract, rule by rule. Which modules these are, the registry says: no list here."""

from __future__ import annotations

import pytest

from recyclic.testing import contract_tests

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("contract")]  # one worker checks all modules once

test_contract = contract_tests()
