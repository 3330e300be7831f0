// Plays a movie: a frame is shown when its time has come and all of the one before was seen.

import { effect } from "@preact/signals";

import type { Stage } from "./stage";

const LOOK_AGAIN_MS = 30;

/** Plays while the state says so. Returns how to stop for good. */
export function play(stage: Stage): () => void {
  const { state, image } = stage;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const step = () => {
    if (!stage.isReady) {
      timer = setTimeout(step, LOOK_AGAIN_MS);
      return;
    }
    state.t.value = (state.t.peek() + 1) % image.sizes.t;
    timer = setTimeout(step, 1000 / state.framesPerSecond.peek());
  };
  const stop = effect(() => {
    clearTimeout(timer);
    if (state.isPlaying.value) timer = setTimeout(step, 1000 / state.framesPerSecond.value);
  });
  return () => {
    stop();
    clearTimeout(timer);
  };
}
