// One plot, with its numbers as a table for those who cannot see it.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

import { inWords } from "../viewer/numbers";
import { useColours } from "./colours";
import type { Series } from "./series";

const HEIGHT_PX = 220;

interface Props {
  series: Series;
  /** A place was clicked: its x. */
  onGo?: (x: number) => void;
  /** Where one is now. */
  at?: number | undefined;
}

export function Chart({ series, onGo, at }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const colours = useColours();
  const pointed = useSignal("");
  const current = useRef(at);
  const plot = useRef<uPlot | null>(null);
  current.current = at;
  useEffect(() => {
    const options = optionsOf(series, colours.value, {
      width: box.current!.clientWidth,
      current,
      point: (text) => { pointed.value = text; },
      go: onGo,
    });
    const made = new uPlot(options, [series.x, series.y], box.current!);
    plot.current = made;
    const observer = new ResizeObserver(([entry]) => {
      if (entry) made.setSize({ width: entry.contentRect.width, height: HEIGHT_PX });
    });
    observer.observe(box.current!);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [series, colours.value]);
  useEffect(() => plot.current?.redraw(false), [at]);
  return (
    <figure class="plot">
      <figcaption>
        <strong>{series.title}</strong>
        <span>{pointed.value || series.note}</span>
      </figcaption>
      <div ref={box} class={onGo ? "plot-box plot-goes" : "plot-box"} aria-hidden="true" />
      <Numbers series={series} onGo={onGo} />
    </figure>
  );
}

interface Ways {
  width: number;
  current: { current: number | undefined };
  point: (text: string) => void;
  go: ((x: number) => void) | undefined;
}

function optionsOf(series: Series, { ink, grid, line, fill }: { [name: string]: string }, ways: Ways): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: ink!, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", labelSize: 20, labelGap: 2,
    grid: { stroke: grid!, width: 1 }, ticks: { stroke: grid!, width: 1, size: 5 },
    values: (_, splits) => splits.map(inWords),
  };
  return {
    width: ways.width,
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, y: false, points: { show: !series.isHistogram } },
    scales: { x: { time: false }, y: { range: (_, _least, most) => [0, Math.max(1, most * 1.05)] } },
    axes: [
      { ...axis, size: 34, label: series.x_title, ...(series.isWhole ? { incrs: WHOLE } : {}) },
      { ...axis, size: 54, label: series.y_title },
    ],
    series: [{}, {
      stroke: line!, fill: fill!, width: 1.5, points: { show: false },
      ...(series.isHistogram ? { paths: uPlot.paths.stepped!({ align: 1 }) } : {}),
    }],
    hooks: {
      setCursor: [(plot) => ways.point(pointedAt(series, plot.cursor.left ?? -1, plot))],
      draw: [(plot) => drawPlace(plot, ways.current.current, ink!)],
      ready: [(plot) => plot.over.addEventListener("click", () => {
        const i = plot.cursor.idx;
        if (i != null) ways.go?.(series.x[i]!);
      })],
    },
  };
}

/** There is no frame 1.5. */
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];

function pointedAt(series: Series, left: number, plot: uPlot): string {
  if (left < 0) return "";
  if (!series.isHistogram) {
    const i = plot.cursor.idx;
    return i == null ? "" : `${series.x_title} ${series.x_texts[i]}: ${inWords(series.y[i]!)} ${series.y_title}`;
  }
  const value = plot.posToVal(left, "x");
  const i = series.x.findLastIndex((edge) => edge <= value);
  return series.x_texts[i] ? `${series.x_texts[i]}: ${inWords(series.y[i]!)}` : "";
}

function drawPlace(plot: uPlot, at: number | undefined, colour: string): void {
  if (at === undefined) return;
  const x = plot.valToPos(at, "x", true);
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.setLineDash([4, 4]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

function Numbers({ series, onGo }: { series: Series; onGo: ((x: number) => void) | undefined }) {
  const isOpen = useSignal(false);
  return (
    <details onToggle={(event) => { isOpen.value = event.currentTarget.open; }}>
      <summary>Table of numbers<span class="plot-hidden">: {series.title}</span></summary>
      {isOpen.value && (
        <div class="plot-table" tabIndex={0} role="region" aria-label={`Numbers: ${series.title}`}>
          <table>
            <thead><tr><th scope="col">{series.x_title}</th><th scope="col">{series.y_title}</th></tr></thead>
            <tbody>
              {series.x_texts.map((text, i) => (
                <tr key={text}>
                  <td>{onGo ? <button type="button" onClick={() => onGo(series.x[i]!)}>{text}</button> : text}</td>
                  <td>{inWords(series.y[i]!)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
