// The page of one job: where it stands, its picture, its results, and what is known about it.

import { useEffect, useState } from "preact/hooks";

import { isFinal } from "../api/events";
import type { Problem } from "../api/problem";
import { sentenceOf } from "../api/problem";
import type { Job } from "../api/types";
import { Heading } from "../page/Heading";
import { jobs, runAgain, session, settings } from "../page/kiosk";
import { go } from "../routes";
import { cancel, deleteJobs, redrive } from "./actions";
import { CompareDialog } from "./CompareDialog";
import { Facts } from "./Facts";
import { JobImage } from "./JobImage";
import { JobProgress } from "./JobProgress";
import { Results } from "./Results";
import { Sharing } from "./Sharing";
import { Snippet } from "./Snippet";
import { workerText } from "./words";

export function JobPage({ id }: { id: string }) {
  useEffect(() => {
    void jobs.look(id);
    return () => {
      void jobs.look("");
      void jobs.refresh();
    };
  }, [id]);
  const job = jobs.jobs.value.get(id);
  const problem = jobs.focusProblem.value;
  return (
    <>
      {!session.isGuest.value && <p class="back"><a href="/">All jobs</a></p>}
      {job ? <Shown job={job} /> : <Missing problem={problem} />}
    </>
  );
}

function Missing({ problem }: { problem: Problem | null }) {
  if (!problem) return <Heading title="Job">Loading…</Heading>;
  const isGone = problem.status === 404;
  return (
    <>
      <Heading title="Job">{isGone ? "This job is not there" : "Not available"}</Heading>
      <p class="banner" role="alert">{problem.message}{isGone
        && " The link may also be incomplete."}</p>
    </>
  );
}

function Shown({ job }: { job: Job }) {
  return (
    <>
      <div class="job-head">
        <div>
          <Heading title={job.file_name}>{job.file_name}</Heading>
          <p class="meta">{workerText(job, settings.models.value)}</p>
        </div>
        <Actions job={job} />
      </div>
      <JobProgress job={job} />
      {job.error && <Failure job={job} />}
      <div class="job-body">
        <JobImage job={job} />
        <aside class="side" aria-label="Results and facts">
          {job.state === "succeeded" && <Results job={job} />}
          {job.notes.length > 0 && <Notes notes={job.notes} />}
          {session.mayChange(job) && <Sharing key={job.id} job={job} />}
          <Facts job={job} />
          <Snippet job={job} />
        </aside>
      </div>
    </>
  );
}

function Actions({ job }: { job: Job }) {
  const [trouble, setTrouble] = useState("");
  const [isComparing, setComparing] = useState(false);
  const act = (action: () => Promise<unknown>) => async (): Promise<void> => {
    setTrouble("");
    try {
      await action();
    } catch (error) {
      setTrouble(sentenceOf(error));
    }
  };
  const mayChange = session.mayChange(job);
  const hasEnded = isFinal(job);
  const hasFailed = job.state === "failed" || job.state === "cancelled";
  return (
    <div class="actions">
      {!hasEnded && mayChange && <button type="button" onClick={act(() => cancel(job))}>Cancel</button>}
      {hasFailed && mayChange && <button type="button" class="primary"
        onClick={act(() => redrive(job))}>Try again</button>}
      {job.state === "succeeded" && !session.isGuest.value && (
        <button type="button" onClick={() => setComparing(true)}>Compare with…</button>
      )}
      {!session.isGuest.value && <button type="button" onClick={() => runAgain(job)}>
        Run again with other settings</button>}
      {hasEnded && mayChange && <button type="button" class="quiet" onClick={act(async () => {
        if (await deleteJobs([job])) go("/");
      })}>Delete</button>}
      {trouble && <p class="row-error" role="alert">{trouble}</p>}
      {isComparing && <CompareDialog job={job} onClose={() => setComparing(false)} />}
    </div>
  );
}

function Failure({ job }: { job: Job }) {
  return (
    <div class="banner" role="alert">
      <p>{job.error?.message}</p>
      <p class="hint">If you ask for help, say the number of the job: <code>{job.id}</code></p>
    </div>
  );
}

function Notes({ notes }: { notes: readonly string[] }) {
  return (
    <section class="card pad" aria-labelledby="notes-title">
      <h2 id="notes-title">Notes</h2>
      <ul class="notes">{notes.map((note) => <li key={note}>{note}</li>)}</ul>
    </section>
  );
}
