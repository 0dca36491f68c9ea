"""Our contracts keep the conventions, and the checks see it when one does not."""

import pytest

from fleet.contracts import conventions
from fleet.contracts.model import Contracts


def test_every_contract_keeps_the_conventions(contracts: Contracts) -> None:
    assert len(list(contracts.methods())) > 50
    assert conventions.check(contracts) == []


def test_the_sound_sample_keeps_the_conventions(sound: Contracts) -> None:
    assert conventions.check(sound) == []


@pytest.mark.parametrize(
    "finding",
    [
        "BoxService.NoPolicy: has no policy, so every server refuses it",
        "BoxService.BadPermission: permission 'Boxes!' is not of the form context.thing.verb",
        "BoxService.OpenCallers: is public but names callers: anybody may call it",
        "BoxService.PromiseWithoutId: declares idempotency but takes no request_id",
        "BoxService.IdWithoutPromise: takes a request_id but declares no idempotency",
        "BoxService.NeedlessId: takes a request_id but declares that it needs none",
        "BoxService.LooseId: request_id is not checked to be a UUID",
        "BoxService.CreatePlain: creates something but takes no request_id",
        "BoxService.ListPlain: BadPage.page_token has the wrong type",
        "BoxService.ListPlain: Plain has no next_page_token",
        "BoxService.ListPlain: a negative page_size is not refused",
        "BoxService.ListPlain: is named as a read but has no option idempotency_level = NO_SIDE_EFFECTS",
        "BoxService.GetOnce: is bound to GET, which only reads, but takes a request_id",
        "BoxService.MoveQuietly: has no side effects but is bound to another verb than GET",
        "BoxService.StickToNothing: sticky_field 'owner.name' is no text of Plain",
        "BoxService.MoveAgo: has stale_seconds but is no read with one answer",
        "BoxService.UpdatePlain: Plain has no update_mask",
        "BoxService.UpdatePlain: an update is bound to another verb than PATCH",
        "BoxService.UpdatePlain: /plain does not begin with /api/ or /.well-known/",
        "BoxService.GetPlain: GET /api/plain has a body",
        "ErrorReason: BOX_FULL does not begin with ERROR_REASON_",
        "Untold: an event without a topic",
        "Plain: has a topic but does not stand in events.proto",
        "Shouted: topic 'BOX' is not of the form context.fact",
        "Twice: topic box.made is already that of greenledger.sample.v1.Once",
    ],
)
def test_a_broken_convention_is_found(broken: Contracts, finding: str) -> None:
    assert f"greenledger.sample.v1.{finding}" in conventions.check(broken)


def test_the_checks_find_nothing_else_in_the_broken_sample(broken: Contracts) -> None:
    assert len(conventions.check(broken)) == 25
