from hypothesis import given
from hypothesis import strategies as st
from stoflow.connector.v1 import connector_service_pb2 as pb
from stoflow.connector.v1.task_pb2 import TaskReport

from stoflow_connector_sdk.runtime.reporter import split_by_size


@given(st.lists(st.integers(0, 3000), max_size=40), st.integers(100, 5000))
def test_parts_keep_the_order_and_stay_below_the_limit(sizes: list[int], limit: int) -> None:
    """All reports are in the parts in order; a part above the limit holds a single report."""
    reports = [TaskReport(task_id="x" * size) for size in sizes]
    parts = list(split_by_size(reports, limit))
    assert [report for part in parts for report in part] == reports
    for part in parts:
        assert part
        assert len(part) == 1 or pb.ReportTasksRequest(reports=part).ByteSize() <= limit


def test_everything_that_fits_goes_together() -> None:
    """Reports are not split without need."""
    reports = [TaskReport(task_id="x")] * 100
    assert list(split_by_size(reports, 100_000)) == [reports]
