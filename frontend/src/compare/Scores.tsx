// How far two results agree, in numbers.

import type { Signal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import { Chart } from "../plots/Chart";
import type { Series } from "../plots/series";
import { inWords } from "../viewer/numbers";
import type { Comparison } from "../viewer/shapes";

interface Props {
  comparison: Comparison;
  isTruth: boolean;
  t: Signal<number>;
}

export function Scores({ comparison, isTruth, t }: Props) {
  const { f1, precision, recall, ap, instances, others } = comparison;
  const overIoU = useMemo(() => curve(comparison), [comparison]);
  const overTime = useMemo(() => perPlane(comparison), [comparison]);
  const mean = ap.reduce((sum, value) => sum + value, 0) / Math.max(1, ap.length);
  return (
    <div class="compare-scores">
      <div class="compare-facts">
        <p class="compare-big"><strong>{percent(f1[0])}</strong> F1 at IoU 0.5</p>
        <dl>
          <dt>Precision</dt><dd>{percent(precision[0])}</dd>
          <dt>Recall</dt><dd>{percent(recall[0])}</dd>
          <dt>Mean AP, IoU 0.5 to 0.95</dt><dd>{percent(mean)}</dd>
          <dt>Instances of this job</dt><dd>{instances}</dd>
          <dt>{isTruth ? "Instances of the truth" : "Instances of the other job"}</dt><dd>{others}</dd>
        </dl>
      </div>
      <Chart series={overIoU} />
      {overTime && <Chart series={overTime} at={t.value} onGo={(frame) => { t.value = frame; }} />}
    </div>
  );
}

function percent(part: number | null | undefined): string {
  return part === undefined || part === null ? "–" : `${(100 * part).toFixed(1)} %`;
}

function curve({ iou, f1 }: Comparison): Series {
  return {
    title: "F1 over IoU", x_title: "IoU", y_title: "F1", x: iou, y: f1,
    isWhole: false, isHistogram: false, note: "", x_texts: iou.map(inWords),
  };
}

/** F1 of each frame; of several planes of a frame their mean. */
function perPlane({ planes }: Comparison): Series | null {
  const byFrame = new Map<number, number[]>();
  for (const { t, f1 } of planes) {
    const others = byFrame.get(t);
    if (others) others.push(f1);
    else byFrame.set(t, [f1]);
  }
  if (byFrame.size < 2) return null;
  const x = [...byFrame.keys()].sort((a, b) => a - b);
  const y = x.map((t) => byFrame.get(t)!.reduce((sum, f1) => sum + f1, 0) / byFrame.get(t)!.length);
  return {
    title: "F1 at IoU 0.5 per frame", x_title: "frame", y_title: "F1", x, y,
    isWhole: true, isHistogram: false, x_texts: x.map(String),
    note: `Lowest in frame ${x[y.indexOf(Math.min(...y))]}: ${percent(Math.min(...y))}.`,
  };
}
