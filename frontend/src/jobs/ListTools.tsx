// Search, filter and, where there are no columns to click, order of the list of jobs.

import { useEffect, useRef, useState } from "preact/hooks";

import { jobs } from "../page/kiosk";
import type { Column, Order } from "./sort";
import { STATE_NAMES } from "./words";

const SETTLE_MS = 250;

interface Props {
  order: Order;
  onOrder: (order: Order) => void;
  columns: readonly [Column, string][];
}

export function ListTools({ order, onOrder, columns }: Props) {
  const { search, state } = jobs.filter.value;
  const [text, setText] = useState(search);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => setText(search), [search]);
  const typed = (value: string): void => {
    setText(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => jobs.search({ search: value.trim() }), SETTLE_MS);
  };
  return (
    <search class="list-tools">
      <input type="search" id="search" placeholder="Search file, model, state" aria-label="Search jobs"
        value={text} onInput={(event) => typed(event.currentTarget.value)} />
      <select id="state" aria-label="Which jobs" value={state}
        onChange={(event) => jobs.search({ state: event.currentTarget.value })}>
        <option value="">All states</option>
        {STATE_NAMES.map(([value, name]) => <option key={value} value={value}>{name}</option>)}
      </select>
      <select class="narrow-only" aria-label="Order of the jobs" value={order.column}
        onChange={(event) => {
          const column = event.currentTarget.value as Column;
          onOrder({ column, isDescending: column === "created" || column === "progress" });
        }}>
        {columns.map(([column, name]) => <option key={column} value={column}>By {name.toLowerCase()}</option>)}
      </select>
    </search>
  );
}
