// The picture itself: the canvas, the tails over it, the scale bar, and a word when something is amiss.

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import type { Camera } from "./camera";
import { listen } from "./gestures";
import { HoverReader } from "./hover";
import { press } from "./keyboard";
import { imageSize } from "./levels";
import { play } from "./player";
import { scaleBar } from "./scaleBar";
import type { Stage } from "./stage";

const LONGEST_BAR_PX = 140;
const NO_WEBGL =
  "This browser cannot draw the picture: WebGL2 is switched off or missing. The results can be downloaded all the same.";

interface Props {
  stage: Stage;
  onPick: (label: number) => void;
}

export function StageView({ stage, onPick }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const overlay = useRef<HTMLCanvasElement>(null);
  const isMissing = useSignal(false);
  useEffect(() => {
    const stopWatching = watchSize(frame.current!, stage);
    if (!stage.open(canvas.current!, overlay.current!)) isMissing.value = true;
    const hover = new HoverReader(stage);
    const stopListening = listen(frame.current!, gestureTarget(stage, hover, onPick));
    const stopPlaying = play(stage);
    return () => {
      for (const stop of [stopPlaying, stopListening, stopWatching]) stop();
      hover.close();
      stage.close();
    };
  }, []);
  const { sizes } = stage.image;
  return (
    <div
      class="viewer-stage" ref={frame} tabIndex={0} role="application" aria-roledescription="picture"
      aria-label={`Picture, ${sizes.x} by ${sizes.y} pixels. Plus and minus zoom, arrows move; the table below lists what is in it.`}
      onKeyDown={(event) => { if (press(stage, event)) event.preventDefault(); }}
    >
      <canvas ref={canvas} hidden={isMissing.value} />
      <canvas ref={overlay} class="viewer-overlay" hidden={isMissing.value} />
      {isMissing.value ? <p class="viewer-message">{NO_WEBGL}</p> : <Messages stage={stage} />}
      <ScaleBar stage={stage} />
    </div>
  );
}

function watchSize(element: HTMLElement, stage: Stage): () => void {
  const measure = () => {
    const { clientWidth: width, clientHeight: height } = element;
    const before = stage.view.peek();
    if (width !== before.width || height !== before.height) stage.view.value = { width, height };
  };
  measure();
  const observer = new ResizeObserver(measure);
  observer.observe(element);
  return () => observer.disconnect();
}

function gestureTarget(stage: Stage, hover: HoverReader, onPick: (label: number) => void) {
  return {
    image: imageSize(stage.image),
    get view() {
      return stage.view.peek();
    },
    get camera() {
      return stage.camera;
    },
    set camera(camera: Camera) {
      stage.state.camera.value = camera;
    },
    hover: (point: { x: number; y: number } | null) => hover.at(point),
    pick: (point: { x: number; y: number }) => {
      // Fingers do not hover: what they touch is read out.
      hover.at(point);
      stage.labelAt(point).then(onPick, () => undefined);
    },
  };
}

function Messages({ stage }: { stage: Stage }) {
  const { isLoading, problem } = stage.status.value;
  if (problem) {
    return (
      <p class="viewer-message" role="alert">
        {problem} <button type="button" onClick={() => stage.store.retry()}>Try again</button>
      </p>
    );
  }
  return <p class={isLoading ? "viewer-loading" : "viewer-loading viewer-is-done"} aria-hidden={!isLoading}>Loading…</p>;
}

function ScaleBar({ stage }: { stage: Stage }) {
  const pixel_um = stage.image.pixel_size_um?.[1];
  const scale = useComputed(() => stage.camera.scale);
  if (!pixel_um) return null;
  const { width_px, text } = scaleBar(pixel_um, scale.value, LONGEST_BAR_PX);
  return (
    <div class="viewer-scale" role="img" aria-label={`The scale bar is ${text} long`}>
      <span>{text}</span>
      <i style={{ width: `${width_px}px` }} />
    </div>
  );
}
