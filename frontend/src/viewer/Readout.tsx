// What is below the pointer, in one line.

import { mainColumns, type Measurements, titleOf } from "./measurements";
import { withUnit } from "./numbers";
import type { Hover, ViewerState } from "./state";

export function Readout({ state, measurements }: { state: ViewerState; measurements: Measurements | null }) {
  const hover = state.hover.value;
  return (
    <p class={state.channels.value.length > 1 ? "viewer-readout viewer-long" : "viewer-readout"}>
      {hover ? <Facts hover={hover} state={state} measurements={measurements} />
        : <span class="viewer-soft">Point at the picture to read values; click an instance to pick it.</span>}
    </p>
  );
}

function Facts(props: { hover: Hover; state: ViewerState; measurements: Measurements | null }) {
  const { hover, state, measurements } = props;
  const { label, values, isExact } = hover;
  return (
    <>
      <span>y {hover.y_px}&ensp;x {hover.x_px}</span>
      {values.map(({ name, text }) => <span key={name}>{name} {isExact ? "" : "≈ "}{text}</span>)}
      {label > 0 && <strong>{numberInWords(state, label)}</strong>}
      {label > 0 && measurements && <Main label={label} measurements={measurements} />}
    </>
  );
}

/** In a tracked movie the labels are numbers of tracks. */
export function numberInWords({ image }: ViewerState, label: number): string {
  return `${image.has_tracks ? "Track" : "Instance"} ${label}`;
}

function Main({ label, measurements }: { label: number; measurements: Measurements }) {
  const table = measurements.table.value;
  const row = table?.byLabel.get(label);
  if (!table || !row) return null;
  return (
    <>
      {mainColumns(table.columns).map((at) => {
        const column = table.columns[at]!;
        return <span key={at} class="viewer-soft">{titleOf(column)} {withUnit(row[at] ?? null, column.unit)}</span>;
      })}
    </>
  );
}
