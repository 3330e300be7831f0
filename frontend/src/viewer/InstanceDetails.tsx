// All that was measured of the picked instance, with units and what the numbers mean.

import { useSignal } from "@preact/signals";

import { type Measurements, titleOf } from "./measurements";
import { withUnit } from "./numbers";
import { numberInWords } from "./Readout";
import type { ViewerState } from "./state";

interface Props {
  state: ViewerState;
  measurements: Measurements;
  onClose: () => void;
}

export function InstanceDetails({ state, measurements, onClose }: Props) {
  const hasMeanings = useSignal(false);
  const label = state.picked.value;
  const table = measurements.table.value;
  if (label === 0) return null;
  const row = table?.byLabel.get(label);
  const title = numberInWords(state, label);
  return (
    <section class="viewer-details" aria-label={title}>
      <div class="viewer-details-head">
        <strong aria-live="polite">{title}</strong>
        {table && !row && <span class="viewer-soft">{missing(table.isTruncated)}</span>}
        <button
          type="button" aria-pressed={hasMeanings.value} onClick={() => { hasMeanings.value = !hasMeanings.value; }}
        >
          Meanings
        </button>
        <button type="button" onClick={onClose} aria-label="Pick nothing">×</button>
      </div>
      {table && row && (
        <dl>
          {table.columns.map((column, at) => at > 0 && (
            <div key={column.name} title={column.meaning}>
              <dt>{titleOf(column)}</dt>
              <dd>{withUnit(row[at] ?? null, column.unit)}</dd>
              {hasMeanings.value && <dd class="viewer-meaning">{column.meaning}</dd>}
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}

function missing(isTruncated: boolean): string {
  return isTruncated ? "It is beyond the rows that the page shows; download the table." : "It is not in this plane.";
}
