"""What becomes of a campaign, and what it is about."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis.errors import PermissionDenied
from services.market.domain.campaign import Campaign, State, Topic

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
DRAFT = Campaign("c", "ann", "kale", "New kale", "Come and see.", State.DRAFT, NOW, NOW)


def test_it_is_activated_deactivated_and_goes_on() -> None:
    active = DRAFT.activated(LATER)
    assert (active.state, active.updated_at) == (State.ACTIVE, LATER)
    stopped = active.deactivated(LATER)
    assert stopped.state is State.INACTIVE
    assert stopped.activated(LATER).state is State.ACTIVE


def test_a_draft_is_not_deactivated_so_that_its_first_activation_still_finds_its_recipients() -> None:
    assert DRAFT.deactivated(LATER) is DRAFT
    assert not DRAFT.begun
    assert DRAFT.activated(LATER).deactivated(LATER).begun


def test_what_everybody_was_told_is_not_told_again() -> None:
    done = Campaign("c", "ann", "kale", "t", "m", State.COMPLETED, NOW, NOW)
    assert done.activated(LATER) is done
    assert done.deactivated(LATER) is done


def test_it_reaches_those_of_the_product_and_those_of_the_grower() -> None:
    assert [topic.text for topic in DRAFT.topics] == ["product:kale", "grower:ann"]
    assert [Topic.of(topic.text) for topic in DRAFT.topics] == list(DRAFT.topics)


def test_it_is_its_owners() -> None:
    DRAFT.require_owner("ann")
    with pytest.raises(PermissionDenied):
        DRAFT.require_owner("bob")
