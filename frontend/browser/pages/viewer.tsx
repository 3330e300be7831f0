// A page with nothing but the viewer, for tests in a browser.

import { signal } from "@preact/signals";
import { render } from "preact";

import { getJson } from "../../src/api/client";
import ViewerPanel from "../../src/viewer";
import type { Camera } from "../../src/viewer/camera";
import type { ImageInfo } from "../../src/viewer/shapes";
import "./page.css";

const job = new URLSearchParams(location.search).get("job") ?? "movie";
const base = `/api/v1/jobs/${job}`;
const camera = signal<Camera | null>(null);
const picked = signal(0);
const t = signal(0);
const picks: number[] = [];

export interface TestHandles {
  camera: typeof camera;
  picked: typeof picked;
  t: typeof t;
  picks: number[];
}

Object.assign(window, { viewer: { camera, picked, t, picks } satisfies TestHandles });

function Page({ image }: { image: ImageInfo }) {
  const pick = (label: number) => {
    picks.push(label);
    picked.value = label;
  };
  return <ViewerPanel base={base} image={image} camera={camera} t={t} picked={picked.value} onPick={pick} />;
}

const image = await getJson<ImageInfo>(`/jobs/${job}/image`);
render(<Page image={image} />, document.getElementById("app")!);
