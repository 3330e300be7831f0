// The instances of the plane in a table; only the rows in sight are in the document.

import { type Signal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";

import { type Measurements, type PlaneTable, titleOf } from "./measurements";
import { inWords, unitInWords } from "./numbers";
import { numberInWords } from "./Readout";
import { clicked, sorted, type Sorting } from "./sorting";
import type { ViewerState } from "./state";

/** As in the style sheet. */
const ROW_PX = 28;
const VIEW_PX = 340;
const SPARE_ROWS = 6;

interface Props {
  state: ViewerState;
  measurements: Measurements;
  onPick: (label: number) => void;
}

export function InstanceTable(props: Props) {
  const isOpen = useSignal(false);
  const { table, problem } = props.measurements;
  const count = table.value?.rows.length;
  const { has_tracks, sizes } = props.state.image;
  const things = `${has_tracks ? "tracks" : "instances"} in this ${sizes.t > 1 && sizes.z === 1 ? "frame" : "plane"}`;
  return (
    <details class="viewer-section" onToggle={(event) => { isOpen.value = event.currentTarget.open; }}>
      <summary>Table{count === undefined ? "" : ` of ${count} ${things}`}</summary>
      {problem.value && <p class="viewer-soft">{problem.value}</p>}
      {isOpen.value && table.value && <Rows {...props} table={table.value} />}
    </details>
  );
}

function Rows({ state, table, onPick }: Props & { table: PlaneTable }) {
  const sorting = useSignal<Sorting>({ column: 0, isDescending: false });
  const top_px = useSignal(0);
  const scroller = useRef<HTMLDivElement>(null);
  const order = useOrder(table, sorting);
  useShown(scroller, order, table, state);
  const first = Math.max(0, Math.floor(top_px.value / ROW_PX) - SPARE_ROWS);
  const last = Math.min(table.rows.length, first + Math.ceil(VIEW_PX / ROW_PX) + 2 * SPARE_ROWS);
  const places = order.value.slice(first, last);
  return (
    <>
      <Find state={state} table={table} onPick={onPick} />
      <div
        class="viewer-table" ref={scroller} tabIndex={0} role="region" aria-label="Table of instances"
        onScroll={(event) => { top_px.value = event.currentTarget.scrollTop; }}
      >
        <table aria-rowcount={table.rows.length + 1}>
          <Head table={table} sorting={sorting} />
          <tbody>
            <Gap rows={first} />
            {places.map((place, i) => (
              <Row key={place} state={state} row={table.rows[place]!} number={first + i + 2} onPick={onPick} />
            ))}
            <Gap rows={table.rows.length - last} />
          </tbody>
        </table>
      </div>
      {table.isTruncated && <p class="viewer-soft">Only the first {table.rows.length} rows; download the table for all.</p>}
    </>
  );
}

function useOrder(table: PlaneTable, sorting: Signal<Sorting>) {
  const current = useSignal(table);
  current.value = table;
  return useComputed(() => sorted(current.value.rows, sorting.value));
}

/** The row of what is picked in the picture scrolls into sight. */
function useShown(
  scroller: { current: HTMLDivElement | null }, order: Signal<number[]>, table: PlaneTable, state: ViewerState,
): void {
  useSignalEffect(() => {
    const picked = state.picked.value;
    const element = scroller.current;
    if (!element || picked === 0) return;
    const place = order.value.findIndex((at) => table.rows[at]?.[0] === picked);
    if (place < 0) return;
    const { scrollTop, clientHeight } = element;
    const at_px = (place + 1) * ROW_PX;
    if (at_px < scrollTop + ROW_PX || at_px > scrollTop + clientHeight - ROW_PX) {
      element.scrollTop = at_px - clientHeight / 2;
    }
  });
}

function Head({ table, sorting }: { table: PlaneTable; sorting: Signal<Sorting> }) {
  const { column, isDescending } = sorting.value;
  const order = (at: number) => (at !== column ? "none" : isDescending ? "descending" : "ascending");
  return (
    <thead>
      <tr>
        {table.columns.map((described, at) => (
          <th key={described.name} scope="col" aria-sort={order(at)} title={described.meaning}>
            <button type="button" onClick={() => { sorting.value = clicked(sorting.value, at); }}>
              {titleOf(described)}<small> {unitInWords(described.unit)}</small>
            </button>
          </th>
        ))}
      </tr>
    </thead>
  );
}

function Row(props: { state: ViewerState; row: PlaneTable["rows"][number]; number: number; onPick: (label: number) => void }) {
  const { state, row, number, onPick } = props;
  const label = Number(row[0]);
  return (
    <tr
      aria-rowindex={number} aria-selected={state.picked.value === label}
      onClick={() => onPick(label)}
      onPointerEnter={() => { state.hovered.value = label; }}
      onPointerLeave={() => { state.hovered.value = 0; }}
    >
      {row.map((cell, at) => at === 0
        ? <td key={0}><button type="button" aria-label={`Show ${numberInWords(state, label)}`}>{inWords(cell)}</button></td>
        : <td key={at}>{inWords(cell)}</td>)}
    </tr>
  );
}

/** Stands for rows that are not in the document. */
function Gap({ rows }: { rows: number }) {
  return rows > 0 ? <tr aria-hidden="true"><td style={{ height: `${rows * ROW_PX}px`, padding: "0" }} /></tr> : null;
}

function Find({ state, table, onPick }: { state: ViewerState; table: PlaneTable; onPick: (label: number) => void }) {
  const isUnknown = useSignal(false);
  const find = (event: { currentTarget: HTMLInputElement }) => {
    const label = Number(event.currentTarget.value);
    isUnknown.value = label > 0 && !table.byLabel.has(label);
    if (label > 0 && !isUnknown.value) onPick(label);
  };
  return (
    <label class="viewer-find">
      Number
      <input type="number" min="1" onChange={find} />
      {isUnknown.value && <span class="viewer-soft">There is no such {state.image.has_tracks ? "track" : "instance"} here.</span>}
    </label>
  );
}
