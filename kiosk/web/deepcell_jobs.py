"""Jobs of this kiosk as the DeepCell Kiosk told of them."""

from __future__ import annotations

from urllib.parse import urlencode

from kiosk import wire
from kiosk.job_groups import JobGroup
from kiosk.jobs import Job, JobState, Stage

# What a job of one plane was called while its parts were done.
_STATUS_OF_STAGE = {
    Stage.WAITING: "started",
    Stage.PLANNING: "started",
    Stage.PARTS: "predicting",
    Stage.JOINING: "saving-results",
}


def fields_of(group: JobGroup, output_url: str) -> dict[str, str | None]:
    """Everything that is told of a group of jobs; what is not known yet is left out.

    Args:
        output_url: where the results are, once there are some.
    """
    first, total = group.jobs[0], len(group.jobs) + len(group.refused)
    status = _status(group)
    failed = [job for job in group.jobs if _has_failed(job)]
    notes = dict.fromkeys(note for job in group.jobs for note in job.notes)
    told: dict[str, str | None] = {
        "status": status,
        "progress": str(_progress(group)),
        "total_jobs": str(total),
        "original_name": first.file_name,
        "input_file_name": f"uploads/{first.upload_id}",
        "model_name": first.model,
        "model_version": first.model_version,
        "dim_order": "",
        "notes": " ".join(notes),
        "created_at": wire.rfc3339(first.create_time_s),
        "updated_at": wire.rfc3339(max(map(_changed_s, group.jobs))),
    }
    begun = [job.start_time_s for job in group.jobs if job.start_time_s]
    if begun:
        told["identity_started"] = told["started_at"] = wire.rfc3339(min(begun))
    failures = {**group.refused, **{job.file_name: _reason(job) for job in failed}}
    if status == "failed":
        told["reason"] = _reason(first) if not group.is_zip else "No image was done; see failures."
    if group.is_zip:
        told["children"] = ",".join(job.id for job in group.jobs)
        told["children:done"] = ",".join(job.id for job in group.succeeded)
        told["children:failed"] = ",".join(job.id for job in failed)
        told["failures"] = urlencode(failures)
    if group.is_final:
        ended_s = max(job.end_time_s for job in group.jobs)
        told["finished_at"] = wire.rfc3339(ended_s)
        told["total_time"] = f"{ended_s - first.create_time_s:.3f}"
    if status == "done":
        told["output_url"] = output_url
        told["output_file_name"] = output_url.rsplit("/", 1)[-1]
    return told


def _status(group: JobGroup) -> str:
    if group.is_final:
        return "done" if group.succeeded else "failed"
    if all(job.state is JobState.QUEUED for job in group.jobs):
        return "new"
    return "waiting" if group.is_zip else _STATUS_OF_STAGE.get(group.jobs[0].stage, "started")


def _progress(group: JobGroup) -> int:
    """Percent."""
    if group.is_final:
        return 100
    if group.is_zip:
        return 100 * sum(job.state.is_final for job in group.jobs) // len(group.jobs)
    job = group.jobs[0]
    return 100 * job.parts_done // max(1, job.parts_total)


def _has_failed(job: Job) -> bool:
    return job.state in (JobState.FAILED, JobState.CANCELLED)


def _reason(job: Job) -> str:
    return job.error or "The job was cancelled."


def _changed_s(job: Job) -> float:
    return max(job.create_time_s, job.start_time_s, job.end_time_s)
