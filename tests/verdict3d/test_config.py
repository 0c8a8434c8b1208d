"""Parameters from outside: what is refused, and what the refusal says."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from support.arm_examples import ARMS, section

REPAIR = {**ARMS["encoder_whole"], "leave_clean": 0.9}
SEARCH = {"method": "search", "samples": 2, "pick": "consensus"}


@pytest.mark.parametrize("later", ["encoder_whole", "token_repair", "token_regression", "token_flow"])
def test_what_a_part_leaves_clean_no_later_part_changes(later: str) -> None:
    """A later encoder would be trained where it is not used, later tokens would change the clean ones."""
    with pytest.raises(ValidationError, match="give leave_clean to part 2 alone"):
        section({"method": "stack", "parts": [REPAIR, SEARCH, ARMS[later]]})


def test_the_last_part_that_changes_tokens_may_leave_clean_pictures_alone() -> None:
    earlier = ARMS["token_regression"]
    assert section({"method": "stack", "parts": [earlier, REPAIR, SEARCH]}).parts[1].leave_clean == 0.9
