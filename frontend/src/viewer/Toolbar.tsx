// Labels on and off, zoom, full screen.

import { useComputed } from "@preact/signals";
import type { RefObject } from "preact";

import { zoomBy, ZOOM_STEP } from "./keyboard";
import type { Stage } from "./stage";
import type { ViewerState } from "./state";

export function Toolbar({ stage, panel }: { stage: Stage; panel: RefObject<HTMLElement | null> }) {
  return (
    <div class="viewer-bar" role="toolbar" aria-label="How the picture is shown">
      {stage.sources.labels && <LabelControls state={stage.state} />}
      {stage.sources.others && (
        <Switch
          text="Other outlines, white" isOn={stage.state.hasOthers.value}
          onChange={(is) => { stage.state.hasOthers.value = is; }}
        />
      )}
      <span class="viewer-space" />
      <ZoomControls stage={stage} />
      {document.fullscreenEnabled && (
        <button type="button" onClick={() => void toggleFullscreen(panel.current)}>Full screen</button>
      )}
    </div>
  );
}

function LabelControls({ state }: { state: ViewerState }) {
  return (
    <>
      <Switch text="Outlines" isOn={state.hasOutlines.value} onChange={(is) => { state.hasOutlines.value = is; }} />
      <Switch text="Fill" isOn={state.isFilled.value} onChange={(is) => { state.isFilled.value = is; }} />
      <label class="viewer-slider">
        Opacity
        <input
          type="range" min="0" max="100" value={Math.round(state.opacity.value * 100)}
          onInput={(event) => { state.opacity.value = Number(event.currentTarget.value) / 100; }}
        />
      </label>
    </>
  );
}

function Switch({ text, isOn, onChange }: { text: string; isOn: boolean; onChange: (is: boolean) => void }) {
  return (
    <label class="viewer-check">
      <input type="checkbox" checked={isOn} onChange={(event) => onChange(event.currentTarget.checked)} />
      {text}
    </label>
  );
}

function ZoomControls({ stage }: { stage: Stage }) {
  const percent = useComputed(() => {
    const shown = stage.camera.scale * 100;
    return shown < 10 ? shown.toPrecision(2) : String(Math.round(shown));
  });
  return (
    <span class="viewer-group">
      <button type="button" aria-label="Zoom out" onClick={() => zoomBy(stage, 1 / ZOOM_STEP)}>−</button>
      <output class="viewer-zoom" aria-label="Zoom">{percent.value} %</output>
      <button type="button" aria-label="Zoom in" onClick={() => zoomBy(stage, ZOOM_STEP)}>+</button>
      <button type="button" onClick={() => { stage.state.camera.value = null; }}>Fit</button>
    </span>
  );
}

async function toggleFullscreen(panel: HTMLElement | null): Promise<void> {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await panel?.requestFullscreen();
}
