// The list of jobs: searched, sorted, several at a time.

import { useSignal } from "@preact/signals";
import { useState } from "preact/hooks";

import { isFinal } from "../api/events";
import { sentenceOf } from "../api/problem";
import type { Job } from "../api/types";
import { count } from "../format/numbers";
import { jobs, session } from "../page/kiosk";
import { cancelAll, deleteJobs, downloadAll } from "./actions";
import { JobRow } from "./JobRow";
import { ListTools } from "./ListTools";
import { type Column, clicked, NEWEST_FIRST, type Order, sortJobs } from "./sort";

const COLUMNS: [Column, string][] = [
  ["file", "File"], ["model", "Model"], ["state", "State"], ["progress", "Progress"],
  ["created", "Created"], ["expires", "Kept until"],
];

export function JobList() {
  const [order, setOrder] = useState<Order>(NEWEST_FIRST);
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  if (session.isGuest.value) return null;
  const shown = sortJobs(jobs.listed.value, order);
  const picked = shown.filter((job) => chosen.value.has(job.id));
  const choose = (id: string, isIn: boolean): void => {
    const ids = new Set(chosen.value);
    if (isIn) ids.add(id);
    else ids.delete(id);
    chosen.value = ids;
  };
  return (
    <section aria-labelledby="jobs-title">
      <div class="section-head">
        <h2 id="jobs-title">Jobs</h2>
        <ListTools order={order} onOrder={setOrder} columns={COLUMNS} />
      </div>
      {jobs.trouble.value && <p class="banner" role="alert">{jobs.trouble.value}</p>}
      {picked.length > 0 && <Several picked={picked} onDone={() => { chosen.value = new Set(); }} />}
      {shown.length > 0 && (
        <div class="card">
          <table class="jobs" id="jobs">
            <Head order={order} onOrder={setOrder} isAll={picked.length === shown.length}
              onAll={(isIn) => { chosen.value = new Set(isIn ? shown.map((job) => job.id) : []); }} />
            <tbody>
              {shown.map((job) => (
                <JobRow key={job.id} job={job} isChosen={chosen.value.has(job.id)} onChoose={choose} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {shown.length === 0 && <Empty />}
      {jobs.hasOlder.value && (
        <p class="center"><button type="button" id="older" onClick={() => void jobs.older()}>
          Show older</button></p>
      )}
    </section>
  );
}

interface HeadProps {
  order: Order;
  onOrder: (order: Order) => void;
  isAll: boolean;
  onAll: (isIn: boolean) => void;
}

function Head({ order, onOrder, isAll, onAll }: HeadProps) {
  const way = order.isDescending ? "descending" : "ascending";
  return (
    <thead>
      <tr>
        <th class="choice"><input type="checkbox" aria-label="Select all jobs shown" checked={isAll}
          onChange={(event) => onAll(event.currentTarget.checked)} /></th>
        {COLUMNS.map(([column, name]) => (
          <th key={column} scope="col" data-column={column}
            aria-sort={order.column === column ? way : "none"}>
            <button type="button" class="head" onClick={() => onOrder(clicked(order, column))}>
              {name}</button>
          </th>
        ))}
        <th><span class="hidden">What can be done</span></th>
      </tr>
    </thead>
  );
}

function Several({ picked, onDone }: { picked: readonly Job[]; onDone: () => void }) {
  const [trouble, setTrouble] = useState("");
  const open = picked.filter((job) => !isFinal(job));
  const ended = picked.filter(isFinal);
  const done = picked.filter((job) => job.state === "succeeded");
  const act = async (action: () => Promise<unknown>): Promise<void> => {
    setTrouble("");
    try {
      await action();
    } catch (error) {
      setTrouble(sentenceOf(error));
    }
  };
  return (
    <div class="several card" role="group" aria-label="Selected jobs">
      <p>{count(picked.length, "job")} selected</p>
      {done.length > 0 && <button type="button" onClick={() => act(() => downloadAll(done))}>
        Download {done.length}</button>}
      {open.length > 0 && <button type="button" onClick={() => act(() => cancelAll(open))}>
        Cancel {open.length}</button>}
      {ended.length > 0 && <button type="button" onClick={() => act(() => deleteJobs(ended))}>
        Delete {ended.length}</button>}
      <button type="button" class="quiet" onClick={onDone}>Clear the selection</button>
      {trouble && <p class="row-error" role="alert">{trouble}</p>}
    </div>
  );
}

function Empty() {
  const { search, state } = jobs.filter.value;
  if (!jobs.isLoaded.value) {
    return jobs.trouble.value ? null : <p class="empty">Loading…</p>;
  }
  if (search || state) {
    return (
      <div class="empty">
        <p>No job fits this search.</p>
        <p><button type="button" onClick={() => jobs.search({ search: "", state: "" })}>
          Show all jobs</button></p>
      </div>
    );
  }
  return <p class="empty" id="empty">No jobs yet. Drop images above; their jobs appear here and stay
    when you close the page.</p>;
}
