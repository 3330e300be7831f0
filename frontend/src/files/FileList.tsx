// The files in the tray, with how far they are altogether.

import { useEffect, useRef, useState } from "preact/hooks";

import { count } from "../format/numbers";
import { bytes, speed } from "../format/sizes";
import { left } from "../format/times";
import { Pace } from "../pace";
import { confirmed } from "../page/confirm";
import { tray } from "../page/kiosk";
import { Progress } from "../page/Progress";
import type { Transfer, TransferState } from "../upload/transfer";
import { FileRow } from "./FileRow";

// Rows of one more page of files; thousands at once would make the browser slow.
const ROWS = 100;
const SPEED_WINDOW_MS = 8000;

export function FileList() {
  const [most, setMost] = useState(ROWS);
  const items = tray.items.value;
  const hidden = items.length - most;
  return (
    <>
      <ListHead />
      <ul class="files" id="uploads" aria-label="Files">
        {items.slice(0, most).map((item) => <FileRow key={item.transfer.key} item={item} />)}
      </ul>
      {hidden > 0 && (
        <p class="center pad">
          <button type="button" onClick={() => setMost(most + ROWS)}>
            Show {Math.min(ROWS, hidden)} more of {count(hidden, "file")}
          </button>
        </p>
      )}
    </>
  );
}

const statesOf = (transfers: readonly Transfer[], ...states: TransferState[]): Transfer[] =>
  transfers.filter((transfer) => states.includes(transfer.state.value));

function ListHead() {
  const { queue } = tray;
  const { value: items } = tray.items;
  // What waits for a word is not on its way.
  const transfers = items.filter((item) => !item.doubt.value).map((item) => item.transfer);
  const open = statesOf(transfers, "sending", "waiting", "interrupted");
  const paused = statesOf(transfers, "paused");
  const failed = statesOf(transfers, "failed");
  const missing = statesOf(transfers, "missing");
  return (
    <div class="files-head">
      <div class="section-head">
        <h2>{count(items.length, "file")}</h2>
        <span class="spacer" />
        {open.length > 0 && <button type="button" class="quiet" onClick={() => queue.pauseAll()}>
          Pause all</button>}
        {paused.length > 0 && <button type="button" class="quiet" onClick={() => queue.resumeAll()}>
          Go on with all</button>}
        {failed.length > 1 && <button type="button" class="quiet" onClick={() => queue.retryAll()}>
          Try all {failed.length} again</button>}
        <button type="button" class="quiet" onClick={() => void removeAll()}>Remove all</button>
      </div>
      {open.length > 0 && <Sending transfers={transfers} />}
      {missing.length > 0 && (
        <p class="note">{count(missing.length, "file was", "files were")} not sent to the end before this
          page was loaded anew. Choose or drop {missing.length === 1 ? "it" : "them"} again to go on: what
          has arrived is kept.</p>
      )}
    </div>
  );
}

async function removeAll(): Promise<void> {
  const number = tray.items.value.length;
  const isSure = number === 1 || await confirmed(`Remove ${count(number, "file")}?`,
    "They leave this list and are not run. Your own copies stay as they are.", "Remove all");
  if (isSure) tray.removeAll();
}

/** How far all files are together, how fast, and how long it will take. */
function Sending({ transfers }: { transfers: readonly Transfer[] }) {
  const pace = useRef(new Pace(SPEED_WINDOW_MS)).current;
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((before) => before + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const counted = transfers.filter((transfer) =>
    transfer.file !== null || transfer.state.value === "arrived");
  const total = counted.reduce((sum, transfer) => sum + transfer.size_bytes, 0);
  const sent = counted.reduce((sum, transfer) => sum + (transfer.state.value === "arrived"
    ? transfer.size_bytes : transfer.sent_bytes.value), 0);
  pace.add(sent, Date.now());
  const isDown = transfers.some((transfer) => transfer.state.value === "interrupted")
    && !transfers.some((transfer) => transfer.state.value === "sending");
  const seconds = pace.secondsLeft(total);
  const text = isDown ? "No connection. Goes on by itself." : [
    `${bytes(sent)} of ${bytes(total)}`,
    pace.per_s > 0 && speed(pace.per_s),
    seconds !== null && left(seconds),
  ].filter(Boolean).join(" · ");
  return (
    <div class="sending">
      <p class="row-line"><span>Sending</span><span class="number">{text}</span></p>
      <Progress label="All uploads" share={total > 0 ? sent / total : null} />
    </div>
  );
}
