// Which plane is shown: time, depth, play; and how far back tails go.

import type { Signal } from "@preact/signals";

import { inWords } from "./numbers";
import type { ViewerState } from "./state";

const SPEEDS = [1, 2, 5, 10, 20, 30];
const MOST_TAIL_FRAMES = 100;

export function PlaneControls({ state }: { state: ViewerState }) {
  const { sizes, has_tracks } = state.image;
  if (sizes.t === 1 && sizes.z === 1) return null;
  return (
    <div class="viewer-bar viewer-planes">
      {sizes.t > 1 && <PlayControls state={state} />}
      {sizes.t > 1 && (
        <Axis text="Time" value={state.t} count={sizes.t} note={timeInWords(state)} />
      )}
      {sizes.z > 1 && <Axis text="Depth" value={state.z} count={sizes.z} note={depthInWords(state)} />}
      {has_tracks && <TailControl state={state} />}
    </div>
  );
}

function Axis(props: { text: string; value: Signal<number>; count: number; note: string }) {
  const { text, value, count, note } = props;
  const go = (event: { currentTarget: HTMLInputElement }) => {
    const wanted = Math.round(Number(event.currentTarget.value));
    value.value = Math.min(count - 1, Math.max(0, wanted || 0));
  };
  return (
    <div class="viewer-axis">
      <span aria-hidden="true">{text}</span>
      <input type="range" min="0" max={count - 1} value={value.value} aria-label={text} onInput={go} />
      <input type="number" min="0" max={count - 1} value={value.value} aria-label={`${text}, number`} onChange={go} />
      <output>of 0 to {count - 1}{note && ` · ${note}`}</output>
    </div>
  );
}

function timeInWords({ image, t }: ViewerState): string {
  const { frame_interval_s } = image;
  if (!frame_interval_s) return "";
  const time_s = t.value * frame_interval_s;
  if (time_s < 60) return `${inWords(time_s)} s`;
  if (time_s < 3600) return `${(time_s / 60).toFixed(1)} min`;
  return `${(time_s / 3600).toFixed(2)} h`;
}

function depthInWords({ image, z }: ViewerState): string {
  return image.z_step_um ? `${inWords(z.value * image.z_step_um)} µm` : "";
}

function PlayControls({ state }: { state: ViewerState }) {
  const { isPlaying, framesPerSecond } = state;
  return (
    <span class="viewer-group">
      <button type="button" class="viewer-play" onClick={() => { isPlaying.value = !isPlaying.value; }}>
        {isPlaying.value ? "Pause" : "Play"}
      </button>
      <select
        aria-label="Frames per second" value={framesPerSecond.value}
        onChange={(event) => { framesPerSecond.value = Number(event.currentTarget.value); }}
      >
        {SPEEDS.map((speed) => <option key={speed} value={speed}>{speed} / s</option>)}
      </select>
    </span>
  );
}

function TailControl({ state }: { state: ViewerState }) {
  const { tail_frames, image } = state;
  return (
    <label class="viewer-slider">
      Tails
      <input
        type="range" min="0" max={Math.min(MOST_TAIL_FRAMES, image.sizes.t - 1)} value={tail_frames.value}
        onInput={(event) => { tail_frames.value = Number(event.currentTarget.value); }}
      />
      <output>{tail_frames.value === 0 ? "none" : `${tail_frames.value} frames`}</output>
    </label>
  );
}
