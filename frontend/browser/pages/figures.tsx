// A page with the figures of a job, for tests in a browser: ?show=plots, lineage or compare.

import { signal } from "@preact/signals";
import { render } from "preact";

import "./page.css";

const job = { id: "movie" };
const t = signal(0);
const picked = signal(0);
Object.assign(window, { figures: { t, picked } });

async function page() {
  const show = new URLSearchParams(location.search).get("show");
  if (show === "plots") {
    const { default: Plots } = await import("../../src/plots");
    return <Plots job={job} t={t} />;
  }
  if (show === "lineage") {
    const { default: LineageTree } = await import("../../src/lineage");
    const Tree = () => <LineageTree job={job} t={t} picked={picked.value} onPick={(track) => { picked.value = track; }} />;
    return <Tree />;
  }
  const { default: CompareView } = await import("../../src/compare");
  return <CompareView job={job.id} other="uploads/truth" />;
}

render(await page(), document.getElementById("app")!);
