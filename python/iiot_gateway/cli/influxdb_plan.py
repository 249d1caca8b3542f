"""The plan of `influxdb init --plan` for a plant: buckets with their retention, and a task that computes daily sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HOUR_S = 3600

FACTORY_TASK = """\
import "date"

option task = {{name: "downsample_dosing_daily", every: 1h, offset: 5m}}

// Yesterday and today, each as a whole from its start: a run writes over what the run before it wrote, so nothing is counted twice,
// and a dose that comes late is still counted.
start = date.truncate(t: date.sub(d: 1d, from: now()), unit: 1d)

doses = from(bucket: "{raw}")
    |> range(start: start)
    |> filter(fn: (r) => r._measurement == "dosing_consumption")

doses
    |> filter(fn: (r) => r._field == "target_g" or r._field == "actual_g")
    |> aggregateWindow(every: 1d, fn: sum, timeSrc: "_start", createEmpty: false)
    |> map(fn: (r) => ({{r with _field: r._field + "_sum"}}))
    |> set(key: "_measurement", value: "dosing_daily")
    |> to(bucket: "{daily}", org: "{org}")

doses
    |> filter(fn: (r) => r._field == "actual_g")
    |> aggregateWindow(every: 1d, fn: count, timeSrc: "_start", createEmpty: false)
    |> set(key: "_field", value: "doses")
    |> set(key: "_measurement", value: "dosing_daily")
    |> to(bucket: "{daily}", org: "{org}")

doses
    |> filter(fn: (r) => r._field == "error_g")
    |> aggregateWindow(every: 1d, fn: mean, timeSrc: "_start", createEmpty: false)
    |> set(key: "_field", value: "error_g_mean")
    |> set(key: "_measurement", value: "dosing_daily")
    |> to(bucket: "{daily}", org: "{org}")
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """The buckets of a plan and its task."""

    raw: str
    raw_hours: int
    daily: str
    daily_hours: int
    task_name: str
    task: str

    def flux(self, org: str) -> str:
        """Return the text of the task in Flux."""
        return self.task.format(raw=self.raw, daily=self.daily, org=org.replace("\\", "\\\\").replace('"', '\\"'))


PLANS = {
    "factory-dosing": Plan(
        raw="factory_metrics",
        raw_hours=17_520,
        daily="factory_metrics_daily",
        daily_hours=87_600,
        task_name="downsample_dosing_daily",
        task=FACTORY_TASK,
    )
}


def write_task(client: Any, plan: Plan, org: Any) -> None:
    """Make the task, or update an existing one to the text of the plan."""
    from influxdb_client import TaskCreateRequest, TaskUpdateRequest

    api = client.tasks_api()
    found = api.find_tasks(name=plan.task_name, org_id=org.id)
    flux = plan.flux(org.name)
    if found:
        api.update_task_request(found[0].id, TaskUpdateRequest(flux=flux))
    else:
        api.create_task(task_create_request=TaskCreateRequest(org_id=org.id, flux=flux, status="active"))
