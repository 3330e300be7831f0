// One family: time goes to the right, a division is a fork.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";

import { css, labelColour } from "../viewer/colours";
import { type Branch, type Family, type Tree, treeOf } from "./families";

const ROW_PX = 24;
const TOP_PX = 26;
const SIDE_PX = 14;
const NUMBER_PX = 64;
const LEAST_FRAME_PX = 3;
const MOST_FRAME_PX = 40;
const TICK_APART_PX = 70;

interface Props {
  family: Family;
  picked: number;
  at: number | undefined;
  onPick: (track: number, t: number) => void;
}

interface Place {
  readonly tree: Tree;
  readonly frame_px: number;
  x(t: number): number;
  y(row: number): number;
}

export function FamilyTree({ family, picked, at, onPick }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const place = useMemo(() => placeOf(treeOf(family), width), [family, width]);
  const { tree, x, y } = place;
  useEffect(() => {
    const branch = tree.byTrack.get(picked);
    // What was picked in the picture comes into sight.
    if (branch) box.current?.scrollTo({ top: y(branch.row) - box.current.clientHeight / 2 });
  }, [picked, tree]);
  const height = y(tree.rows) + 4;
  return (
    <div class="lineage-tree" ref={box} tabIndex={0} role="region" aria-label={`Family of track ${family.root}`}>
      <svg width={x(tree.last_t + 1) + NUMBER_PX} height={height}>
        <Ticks place={place} height={height} />
        {at !== undefined && at >= tree.first_t && at <= tree.last_t && (
          <line class="lineage-now" x1={x(at + 0.5)} x2={x(at + 0.5)} y1={TOP_PX - 6} y2={height} />
        )}
        {tree.branches.map((branch) => (
          <BranchLine
            key={branch.track.track} branch={branch} place={place} onPick={onPick}
            isPicked={branch.track.track === picked} rows={rowsOf(tree, branch)}
          />
        ))}
      </svg>
    </div>
  );
}

/** Of what there is for the tree. */
function useWidth(box: { current: HTMLDivElement | null }): number {
  const width = useSignal(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => { width.value = entry?.contentRect.width ?? 0; });
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  return width.value;
}

function placeOf(tree: Tree, width: number): Place {
  const frames = tree.last_t - tree.first_t + 1;
  const frame_px = Math.min(MOST_FRAME_PX, Math.max(LEAST_FRAME_PX, (width - SIDE_PX - NUMBER_PX) / frames));
  return {
    tree,
    frame_px,
    x: (t) => SIDE_PX + (t - tree.first_t) * frame_px,
    y: (row) => TOP_PX + (row + 0.5) * ROW_PX,
  };
}

/** Rows and times of the daughters' beginnings. */
function rowsOf(tree: Tree, { daughters }: Branch) {
  return daughters.map((daughter) => {
    const { row, track } = tree.byTrack.get(daughter)!;
    return { row, t: track.first_t };
  });
}

interface BranchProps {
  branch: Branch;
  place: Place;
  rows: { row: number; t: number }[];
  isPicked: boolean;
  onPick: (track: number, t: number) => void;
}

function BranchLine({ branch, place, rows, isPicked, onPick }: BranchProps) {
  const { track: { track, first_t, last_t }, row, daughters } = branch;
  const { x, y, tree, frame_px } = place;
  const [left, right, middle] = [x(first_t), x(last_t + 1), y(row)];
  const colour = css(labelColour(track));
  const frameAt = (event: MouseEvent) => {
    const svg = (event.currentTarget as Element).closest("svg")!;
    const at = (event.clientX - svg.getBoundingClientRect().left - SIDE_PX) / frame_px + tree.first_t;
    return Math.min(last_t, Math.max(first_t, Math.floor(at)));
  };
  return (
    <g
      class={isPicked ? "lineage-branch lineage-picked" : "lineage-branch"} role="button" tabIndex={0}
      aria-label={words(branch)} aria-pressed={isPicked}
      onClick={(event) => onPick(track, frameAt(event))}
      onKeyDown={(event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); onPick(track, first_t); } }}
    >
      {rows.map(({ row: to, t }) => (
        <path key={to} class="lineage-fork" d={`M${right} ${middle} H${Math.max(right, x(t))} V${y(to)}`} />
      ))}
      <rect x={left} y={middle - 9} width={Math.max(6, right - left)} height={18} fill="transparent" />
      <line x1={left} x2={right} y1={middle} y2={middle} stroke={colour} />
      <text x={daughters.length > 0 ? left + 3 : right + 5} y={daughters.length > 0 ? middle - 5 : middle + 4}>{track}</text>
    </g>
  );
}

function words({ track: { track, first_t, last_t }, daughters }: Branch): string {
  const time = first_t === last_t ? `frame ${first_t}` : `frames ${first_t} to ${last_t}`;
  return `Track ${track}, ${time}${daughters.length > 0 ? `, then tracks ${daughters.join(" and ")}` : ""}`;
}

function Ticks({ place: { tree, frame_px, x }, height }: { place: Place; height: number }) {
  const least = TICK_APART_PX / frame_px;
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  const step = [1, 2, 5, 10].map((part) => part * power).find((length) => length >= least) ?? power * 10;
  const first = Math.ceil(tree.first_t / step) * step;
  const count = Math.max(0, Math.floor((tree.last_t - first) / step) + 1);
  return (
    <g class="lineage-ticks" aria-hidden="true">
      {Array.from({ length: count }, (_, i) => first + i * step).map((t, i) => (
        <g key={t}>
          <line x1={x(t + 0.5)} x2={x(t + 0.5)} y1={TOP_PX - 6} y2={height} />
          <text x={x(t + 0.5)} y={13} text-anchor={i === 0 ? "start" : "middle"}>{i === 0 ? `frame ${t}` : t}</text>
        </g>
      ))}
    </g>
  );
}
