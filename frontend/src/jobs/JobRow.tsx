// A job in the list.

import { useState } from "preact/hooks";

import { isFinal } from "../api/events";
import { zipUrl } from "../api/jobs";
import { sentenceOf } from "../api/problem";
import type { Job } from "../api/types";
import { day, moment } from "../format/times";
import { session, settings } from "../page/kiosk";
import { neighbourOf } from "../page/focus";
import { Progress } from "../page/Progress";
import { jobPath } from "../routes";
import { cancel, deleteJobs, redrive } from "./actions";
import { memo } from "./memo";
import { partsText, progressOf, stateText, tookText, workerText } from "./words";

interface Props {
  job: Job;
  isChosen: boolean;
  onChoose: (id: string, isIn: boolean) => void;
}

function Row({ job, isChosen, onChoose }: Props) {
  const took = tookText(job);
  const parts = partsText(job);
  return (
    <tr data-state={job.state} class="row">
      <td class="choice"><input type="checkbox" checked={isChosen} aria-label={`Select ${job.file_name}`}
        onChange={(event) => onChoose(job.id, event.currentTarget.checked)} /></td>
      <td data-column="file">
        <a class="name" href={jobPath(job.id)}>{job.file_name}</a>
        {job.error && <p class="row-error">{job.error.message}</p>}
        {!job.error && job.notes.length > 0 && (
          <p class="meta" title={job.notes.join(" ")}>{job.notes.join(" ")}</p>
        )}
      </td>
      <td data-column="model">{workerText(job, settings.models.value)}</td>
      <td data-column="state"><span class="state">{stateText(job)}</span></td>
      <td data-column="progress">
        {isFinal(job) ? <span class="soft">{took}</span> : (
          <>
            <span class="number">{parts}</span>
            <Progress label={`Progress of ${job.file_name}`} share={progressOf(job)} />
          </>
        )}
      </td>
      <td data-column="created" class="soft">{job.create_time && moment(job.create_time)}</td>
      <td data-column="expires" class="soft">
        {job.expire_time && <time dateTime={job.expire_time} title={moment(job.expire_time)}>
          {day(job.expire_time)}</time>}
      </td>
      <RowActions job={job} />
    </tr>
  );
}

/** Drawn anew only when its own job has changed. */
export const JobRow = memo(Row);

function RowActions({ job }: { job: Job }) {
  const [trouble, setTrouble] = useState("");
  const act = (action: () => Promise<unknown>) => async (): Promise<void> => {
    setTrouble("");
    try {
      await action();
    } catch (error) {
      setTrouble(sentenceOf(error));
    }
  };
  const { file_name: name } = job;
  const mayChange = session.mayChange(job);
  return (
    <td class="row-actions">
      {job.state === "succeeded" && <a class="button" href={zipUrl(job.id)} download=""
        aria-label={`Download the results of ${name}`}>Download</a>}
      {!isFinal(job) && mayChange && <button type="button" aria-label={`Cancel ${name}`}
        onClick={act(() => cancel(job))}>Cancel</button>}
      {(job.state === "failed" || job.state === "cancelled") && mayChange && (
        <button type="button" aria-label={`Begin ${name} anew`} onClick={act(() => redrive(job))}>
          Try again</button>
      )}
      {isFinal(job) && mayChange && <button type="button" class="quiet icon" title="Delete"
        aria-label={`Delete ${name}`} onClick={(event) => {
          const focusNext = neighbourOf(event.currentTarget, "tr", "a.name");
          void act(() => deleteJobs([job]))().then(() => setTimeout(focusNext));
        }}>×</button>}
      {trouble && <p class="row-error" role="alert">{trouble}</p>}
    </td>
  );
}
