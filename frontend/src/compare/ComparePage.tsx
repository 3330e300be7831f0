// Two results of one image beside each other, and how far they agree.

import { Lazy } from "../Lazy";
import { Heading } from "../page/Heading";
import { loadComparison } from "../page/parts";
import { jobPath } from "../routes";

export function ComparePage({ job, other }: { job: string; other: string }) {
  const isRight = job !== "" && /^(jobs|uploads)\/[^/]+$/.test(other);
  return (
    <>
      <p class="back"><a href={job ? jobPath(job) : "/"}>{job ? "Back to the job" : "All jobs"}</a></p>
      <Heading title="Comparison">Comparison</Heading>
      {isRight ? <Lazy load={loadComparison} props={{ job, other }} />
        : <p class="banner" role="alert">This address names no two results. Open a job and choose “Compare
          with…”.</p>}
    </>
  );
}
