// Where an open job stands and how long it will take.

import { useEffect, useRef, useState } from "preact/hooks";

import { isFinal } from "../api/events";
import type { Job } from "../api/types";
import { count } from "../format/numbers";
import { left } from "../format/times";
import { Pace } from "../pace";
import { jobs } from "../page/kiosk";
import { Progress } from "../page/Progress";
import { partsText, progressOf, stateText, tookText } from "./words";

// Parts of one job take about as long as each other; a minute evens out the rest.
const WINDOW_MS = 60_000;

export function JobProgress({ job }: { job: Job }) {
  const seconds = useSecondsLeft(job);
  const ahead = jobs.jobsAhead.value;
  const took = tookText(job);
  const facts = isFinal(job) ? [took && `took ${took}`] : [
    partsText(job),
    job.state === "queued" && ahead !== null && aheadText(ahead),
    seconds !== null && left(seconds),
  ];
  return (
    <div class="job-progress" data-state={job.state} id="job-progress">
      <p class="row-line">
        <span class="state" role="status">{stateText(job)}</span>
        <span class="number">{facts.filter(Boolean).join(" · ")}</span>
      </p>
      {!isFinal(job) && <Progress label="Progress" share={progressOf(job)} />}
      {!isFinal(job) && job.waiting_for && <p class="note" role="status">{job.waiting_for}</p>}
      {!isFinal(job) && <p class="hint">You may close this page; the job goes on.</p>}
    </div>
  );
}

const aheadText = (ahead: number): string =>
  (ahead === 0 ? "next in line" : `${count(ahead, "job")} ahead`);

/** Seconds until all parts are done; null while nobody can say. */
function useSecondsLeft(job: Job): number | null {
  const pace = useRef(new Pace(WINDOW_MS));
  const [, tick] = useState(0);
  const isCounting = job.state === "running" && job.stage === "parts" && job.parts_total > 1;
  useEffect(() => {
    if (!isCounting) return;
    const timer = setInterval(() => tick((before) => before + 1), 1000);
    return () => clearInterval(timer);
  }, [isCounting]);
  if (!isCounting) return null;
  pace.current.add(job.parts_done, Date.now());
  return pace.current.secondsLeft(job.parts_total);
}
