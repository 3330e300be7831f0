// Keys on the picture. The list is also what the page says about them.

import { dragged, zoomed } from "./camera";
import { imageSize } from "./levels";
import type { Stage } from "./stage";

export const ZOOM_STEP = 1.25;
const PAN_PX = 60;

export interface Key {
  readonly keys: string[];
  /** As it stands on the key. */
  readonly names: string[];
  readonly meaning: string;
  readonly isThere?: (stage: Stage) => boolean;
  act(stage: Stage, key: string): void;
}

const isMovie = ({ image }: Stage) => image.sizes.t > 1;
const isStack = ({ image }: Stage) => image.sizes.z > 1;
const hasLabels = ({ sources }: Stage) => sources.labels !== null;

export const KEYS: Key[] = [
  { keys: ["+", "=", "-"], names: ["+", "−"], meaning: "zoom",
    act: (stage, key) => zoomBy(stage, key === "-" ? 1 / ZOOM_STEP : ZOOM_STEP) },
  { keys: ["0"], names: ["0"], meaning: "whole image", act: ({ state }) => { state.camera.value = null; } },
  { keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], names: ["←", "→", "↑", "↓"], meaning: "move", act: pan },
  { keys: [",", "."], names: [",", "."], meaning: "time back, on", isThere: isMovie,
    act: ({ state }, key) => state.go(state.t.value + (key === "." ? 1 : -1), state.z.value) },
  { keys: ["[", "]"], names: ["[", "]"], meaning: "plane below, above", isThere: isStack,
    act: ({ state }, key) => state.go(state.t.value, state.z.value + (key === "]" ? 1 : -1)) },
  { keys: [" "], names: ["space"], meaning: "play, pause", isThere: isMovie,
    act: ({ state }) => { state.isPlaying.value = !state.isPlaying.value; } },
  { keys: ["o"], names: ["o"], meaning: "outlines", isThere: hasLabels,
    act: ({ state }) => { state.hasOutlines.value = !state.hasOutlines.value; } },
  { keys: ["f"], names: ["f"], meaning: "fill", isThere: hasLabels,
    act: ({ state }) => { state.isFilled.value = !state.isFilled.value; } },
];

/** Whether the key meant something. */
export function press(stage: Stage, event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const key = KEYS.find(({ keys, isThere }) => keys.includes(event.key) && (isThere?.(stage) ?? true));
  key?.act(stage, event.key);
  return key !== undefined;
}

export function zoomBy(stage: Stage, factor: number): void {
  const view = stage.view.peek();
  const middle = { x: view.width / 2, y: view.height / 2 };
  stage.state.camera.value = zoomed(stage.camera, factor, middle, view, imageSize(stage.image));
}

function pan(stage: Stage, key: string): void {
  const dx = key === "ArrowLeft" ? PAN_PX : key === "ArrowRight" ? -PAN_PX : 0;
  const dy = key === "ArrowUp" ? PAN_PX : key === "ArrowDown" ? -PAN_PX : 0;
  stage.state.camera.value = dragged(stage.camera, dx, dy, imageSize(stage.image));
}
