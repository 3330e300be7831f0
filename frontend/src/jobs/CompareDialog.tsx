// With what a job is compared: another job of the same file, or a label image.

import { useEffect, useRef, useState } from "preact/hooks";

import { listJobs } from "../api/jobs";
import { sentenceOf } from "../api/problem";
import type { Job } from "../api/types";
import { percent } from "../format/numbers";
import { moment } from "../format/times";
import { settings } from "../page/kiosk";
import { comparePath, go } from "../routes";
import { sendOne } from "../upload/single";
import { settingsText, workerText } from "./words";

export function CompareDialog({ job, onClose }: { job: Job; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const [others, setOthers] = useState<Job[] | null>(null);
  const [status, setStatus] = useState("");

  useEffect(() => {
    dialog.current?.showModal();
    listJobs({ search: job.file_name, state: "succeeded" }).then(
      (page) => setOthers(page.jobs.filter((other) => isOfSameImage(job, other))),
      (error: unknown) => setStatus(sentenceOf(error)),
    );
  }, [job.id]);

  const compare = (other: string): void => { onClose(); go(comparePath(job.id, other)); };
  async function send(file: File): Promise<void> {
    try {
      compare(await sendOne(file, (share) => setStatus(`Sending, ${percent(share)}`)));
    } catch (error) {
      setStatus(sentenceOf(error));
    }
  }
  return (
    <dialog ref={dialog} aria-labelledby="compare-title" onCancel={onClose}>
      <h2 id="compare-title">Compare with</h2>
      <h3>Another job of this file</h3>
      {others?.length === 0 && <p class="hint">There is none. Run the file again with other settings, and
        come back.</p>}
      <ul class="others">
        {others?.map((other) => (
          <li key={other.id}><button type="button" onClick={() => compare(other.name)}>
            {workerText(other, settings.models.value)}
            <span class="hint">{[settingsText(other), other.create_time && moment(other.create_time)]
              .filter(Boolean).join(", ")}</span>
          </button></li>
        ))}
      </ul>
      <h3>A ground truth</h3>
      <p><button type="button" onClick={() => input.current?.click()}>Choose a label image</button></p>
      <p class="hint">An image of the same size: 0 is background, each instance has its number.</p>
      <p class="hint" role="status">{status}</p>
      <input ref={input} type="file" hidden aria-label="Label image" onChange={(event) => {
        const file = event.currentTarget.files?.[0];
        if (file) void send(file);
      }} />
      <p class="dialog-buttons"><button type="button" onClick={onClose}>Close</button></p>
    </dialog>
  );
}

function isOfSameImage(job: Job, other: Job): boolean {
  if (other.id === job.id || other.state !== "succeeded") return false;
  const [one, two] = [job.parameters.reading ?? {}, other.parameters.reading ?? {}];
  const isSamePlace = (one.member ?? "") === (two.member ?? "") && (one.series ?? 0) === (two.series ?? 0);
  return isSamePlace && (other.upload === job.upload || other.file_name === job.file_name);
}
