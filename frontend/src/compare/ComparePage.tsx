// Two results of one image beside each other, and how far they agree.

import { useEffect, useState } from "preact/hooks";

import { getJob } from "../api/jobs";
import type { Job } from "../api/types";
import { moment } from "../format/times";
import { settingsText, workerText } from "../jobs/words";
import { Lazy } from "../Lazy";
import { Heading } from "../page/Heading";
import { settings } from "../page/kiosk";
import { loadComparison } from "../page/parts";
import { jobPath } from "../routes";

export function ComparePage({ job, other }: { job: string; other: string }) {
  const isRight = job !== "" && /^(jobs|uploads)\/[^/]+$/.test(other);
  const one = useJob(job);
  const two = useJob(other.startsWith("jobs/") ? other.slice("jobs/".length) : "");
  const truth = other.startsWith("uploads/") ? "your label image, as the truth" : "";
  const title = one ? `Comparison of ${one.file_name}` : "Comparison";
  return (
    <>
      <p class="back"><a href={job ? jobPath(job) : "/"}>{job ? "Back to the job" : "All jobs"}</a></p>
      <Heading title={title}>{title}</Heading>
      {isRight && <p class="compared">This job: {described(one)}. Against: {truth || described(two)}.</p>}
      {isRight ? <Lazy load={loadComparison} props={{ job, other }} />
        : <p class="banner" role="alert">This address names no two results. Open a job and choose “Compare
          with…”.</p>}
    </>
  );
}

function described(job: Job | null): string {
  if (!job) return "…";
  const time = job.create_time ? moment(job.create_time) : "";
  return [workerText(job, settings.models.value), settingsText(job), time].filter(Boolean).join(", ");
}

function useJob(id: string): Job | null {
  const [job, setJob] = useState<Job | null>(null);
  useEffect(() => {
    // Why it is not there is said by the comparison itself.
    if (id) getJob(id).then(setJob, () => {});
  }, [id]);
  return job;
}
