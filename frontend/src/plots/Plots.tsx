// What a job found, in plots.

import type { Signal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import { below } from "../viewer/addresses";
import { useJson } from "../viewer/json";
import type { Statistics } from "../viewer/shapes";
import { Chart } from "./Chart";
import { counts, distribution } from "./series";

export interface PlotsProps {
  job: { id: string };
  /** The frame that the picture shows; a click on a plot goes to another. */
  t?: Signal<number>;
  z?: Signal<number>;
}

export function Plots({ job, t, z }: PlotsProps) {
  const { answer, problem } = useJson<Statistics>(below(`/jobs/${job.id}`, "/statistics"));
  const number = useMemo(() => answer && counts(answer.planes), [answer]);
  const others = useMemo(() => answer?.histograms.map(distribution) ?? [], [answer]);
  if (problem) return <p class="plot-note" role="alert">{problem}</p>;
  if (!answer) return <p class="plot-note">Loading…</p>;
  const place = number?.x_title === "plane" ? z : t;
  return (
    <div class="plots">
      {!number && <p class="plot-note">{total(answer)} instances.</p>}
      {number && (
        <Chart series={number} at={place?.value} {...(place && { onGo: (x: number) => { place.value = x; } })} />
      )}
      {others.map((series) => <Chart key={series.title} series={series} />)}
      {answer.truncated && <p class="plot-note">The first plot shows only the first planes: there are more.</p>}
    </div>
  );
}

function total({ planes }: Statistics): number {
  return planes.reduce((sum, { instances }) => sum + instances, 0);
}
