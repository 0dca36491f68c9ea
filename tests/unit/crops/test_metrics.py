"""The duration of commands on lots, as a scrape sees it."""

from typing import Any

import pytest
from prometheus_client import REGISTRY

from chassis.errors import FailedPrecondition, Unavailable
from greenledger.crops.v1 import crops_pb2 as pb
from services.crops.adapters import metrics
from services.crops.adapters.metrics import crop_type, timed

NAME = "crop_processing_duration_seconds"


class Commands:
    """A servicer that does as it is told."""

    @timed("mint")
    async def mint(self, request: pb.MintLotRequest, context: Any) -> pb.Lot:
        return pb.Lot(product_code=request.product_code)

    @timed("split")
    async def split(self, request: pb.SplitLotRequest, context: Any) -> pb.SplitLotResponse:
        return pb.SplitLotResponse(lot=pb.Lot(product_code="kale-of-a-split"))

    @timed("recall")
    async def fail(self, error: Exception, context: Any) -> pb.Lot:
        raise error


def count(operation: str, status: str, crop: str) -> float:
    labels = {"operation": operation, "status": status, "crop_type": crop}
    return REGISTRY.get_sample_value(f"{NAME}_count", labels) or 0.0


async def test_a_command_is_measured_under_the_crop_of_its_lot() -> None:
    await Commands().mint(pb.MintLotRequest(product_code="romaine-of-a-mint"), None)
    await Commands().split(pb.SplitLotRequest(), None)
    assert count("mint", "success", "romaine-of-a-mint") == count("split", "success", "kale-of-a-split") == 1
    bounds = [
        sample.labels["le"]
        for metric in REGISTRY.collect()
        if metric.name == NAME
        for sample in metric.samples
        if sample.labels.get("crop_type") == "romaine-of-a-mint" and "le" in sample.labels
    ]
    assert bounds == ["0.1", "0.5", "1.0", "2.0", "5.0", "10.0", "+Inf"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (FailedPrecondition("LOT_RECALLED", "it is"), "refused"),
        (Unavailable("TRANSFER_FAILED", "it did"), "failed"),
        (RuntimeError("a defect"), "failed"),
    ],
    ids=["a rule", "an outage", "a defect"],
)
async def test_a_command_without_an_answer_is_measured_by_what_stopped_it(
    error: Exception, status: str
) -> None:
    before = count("recall", status, "unknown")
    with pytest.raises(type(error)):
        await Commands().fail(error, None)
    assert count("recall", status, "unknown") == before + 1


def test_growers_cannot_make_up_series_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_seen", set())
    labels = [crop_type(f"crop-{number}") for number in range(metrics.MOST_CROP_TYPES + 2)]
    assert labels[-3:] == [f"crop-{metrics.MOST_CROP_TYPES - 1}", "other", "other"]
    assert crop_type("crop-0") == "crop-0"
