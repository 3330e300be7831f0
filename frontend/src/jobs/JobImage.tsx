// The picture of a job, and what was measured in it.

import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { getImage, jobAddress } from "../api/jobs";
import { Problem } from "../api/problem";
import type { Job } from "../api/types";
import { Lazy } from "../Lazy";
import { loadLineage, loadPlots } from "../page/parts";
import { Viewer } from "../page/Viewer";
import type { ImageInfo } from "../viewer/shapes";
import { firstPlane } from "../viewer/state";

type Tab = "lineage" | "plots";

export function JobImage({ job }: { job: Job }) {
  const [image, setImage] = useState<ImageInfo | null>(null);
  const [trouble, setTrouble] = useState("");
  const [picked, setPicked] = useState(0);
  const picture = useRef<HTMLElement>(null);
  const t = useSignal(0);
  const z = useSignal(0);
  const isDone = job.state === "succeeded";

  // The picture comes at once, the outlines when the job is done.
  useEffect(() => {
    let isGone = false;
    getImage(job.id).then(
      (found) => {
        if (isGone) return;
        if (found.has_labels) ({ t: t.value, z: z.value } = firstPlane(found));
        setImage(found);
        setTrouble("");
      },
      (error: unknown) => { if (!isGone && error instanceof Problem) setTrouble(error.message); },
    );
    return () => { isGone = true; };
  }, [job.id, isDone]);

  if (!image) return trouble && !job.error ? <p class="note">{trouble}</p> : null;
  const show = (label: number): void => {
    setPicked(label);
    picture.current?.scrollIntoView({ block: "nearest" });
  };
  return (
    <div class="job-images">
      <section class="card job-image" aria-label="Image" ref={picture}>
        <Viewer key={String(isDone)} base={jobAddress(job.id)} image={image} picked={picked}
          onPick={setPicked} t={t} z={z} />
      </section>
      {isDone && <Figures job={job} image={image} t={t} z={z} picked={picked} onPick={show} />}
    </div>
  );
}

interface FiguresProps {
  job: Job;
  image: ImageInfo;
  t: Signal<number>;
  z: Signal<number>;
  picked: number;
  onPick: (label: number) => void;
}

/** Below the picture, so that a click on a plot or a tree is seen to go to its frame and instance. */
function Figures({ job, image, t, z, picked, onPick }: FiguresProps) {
  const tabs: [Tab, string][] = [];
  if (image.has_tracks) tabs.push(["lineage", "Lineage"]);
  if (image.has_instances || image.has_tracks) tabs.push(["plots", "Plots"]);
  const [chosen, setChosen] = useState<Tab | null>(null);
  const tab = chosen ?? tabs[0]?.[0];
  if (!tab) return null;
  const props = { job, t, z };
  return (
    <section class="card job-image" aria-label="Figures">
      <Tabs tabs={tabs} tab={tab} onTab={setChosen} />
      {tab === "plots" && <Panel tab={tab}><Lazy load={loadPlots} props={props} /></Panel>}
      {tab === "lineage" && (
        <Panel tab={tab}><Lazy load={loadLineage} props={{ ...props, picked, onPick }} /></Panel>
      )}
    </section>
  );
}

function Panel({ tab, children }: { tab: Tab; children: ComponentChildren }) {
  return <div class="pad" role="tabpanel" id={`tab-${tab}`} aria-labelledby={`tab-of-${tab}`}>{children}</div>;
}

interface TabsProps {
  tabs: readonly [Tab, string][];
  tab: Tab;
  onTab: (tab: Tab) => void;
}

/** The arrow keys go from tab to tab, as people who use them expect. */
function Tabs({ tabs, tab, onTab }: TabsProps) {
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const place = tabs.findIndex(([name]) => name === tab);
    const [next] = tabs[(place + step + tabs.length) % tabs.length]!;
    onTab(next);
    document.getElementById(`tab-of-${next}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label="Figures" onKeyDown={onKeyDown}>
      {tabs.map(([name, title]) => (
        <button type="button" key={name} id={`tab-of-${name}`} role="tab" aria-selected={tab === name}
          tabIndex={tab === name ? 0 : -1} onClick={() => onTab(name)}>{title}</button>
      ))}
    </div>
  );
}
