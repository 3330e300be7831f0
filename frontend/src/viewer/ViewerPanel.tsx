// The picture with all that belongs to it: controls, measurements, keys.

import { useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";

import { ChannelControls } from "./ChannelControls";
import { InstanceDetails } from "./InstanceDetails";
import { InstanceTable } from "./InstanceTable";
import { KeyHints } from "./KeyHints";
import { centroidOf, Measurements } from "./measurements";
import { PlaneControls } from "./PlaneControls";
import { Readout } from "./Readout";
import type { ImageInfo } from "./shapes";
import { type LabelSource, Stage } from "./stage";
import { StageView } from "./StageView";
import { type Region, type Shared, ViewerState } from "./state";
import { Toolbar } from "./Toolbar";

export interface ViewerProps extends Shared {
  /** Of a job or an upload: "/api/v1/jobs/{id}"; a query after "?" goes along with every request. */
  base: string;
  image: ImageInfo;
  /** The label below a click, or of a row of the table; 0: nothing. */
  onPick?: (label: number) => void;
  /** Picked elsewhere: looked for, shown and marked. */
  picked?: number;
  /** Labels from elsewhere than `base`, such as an uploaded truth. */
  labels?: LabelSource;
  /** Outlines over the labels, to compare. */
  others?: LabelSource;
  /** What it is called for screen readers, where there is more than one. */
  title?: string;
  /** Where to begin: only this is looked at. */
  region?: Region;
  /** The picture alone, without table and keys: for two side by side. */
  isPlain?: boolean;
}

export function ViewerPanel(props: ViewerProps) {
  const { base, image, labels } = props;
  // Another job is another panel, and so is one that has labels by now: nothing of the one before is left.
  return <Panel key={`${base} ${labels?.base ?? ""} ${image.has_labels}`} {...props} />;
}

function Panel(props: ViewerProps) {
  const { base, image, isPlain } = props;
  const stage = useMemo(() => newStage(props), []);
  const measurements = useMemo(() => (image.has_instances ? new Measurements(base) : null), []);
  const { state } = stage;
  const panel = useRef<HTMLElement>(null);

  useSignalEffect(() => {
    if (state.isPlaying.value) measurements?.clear();
    else void measurements?.show(state.plane.value);
  });
  useEffect(() => () => measurements?.close(), []);
  usePicked(stage, measurements, props.picked);

  const pick = (label: number, isFar = false) => {
    state.picked.value = label;
    if (isFar) centre(stage, measurements, label);
    props.onPick?.(label);
  };
  return (
    <section class="viewer" aria-label={props.title ?? "Picture"} ref={panel}>
      <Toolbar stage={stage} panel={panel} />
      <StageView stage={stage} onPick={pick} />
      <Readout state={state} measurements={measurements} />
      <PlaneControls state={state} />
      <ChannelControls stage={stage} />
      {measurements && <InstanceDetails state={state} measurements={measurements} onClose={() => pick(0)} />}
      {measurements && !isPlain && (
        <InstanceTable state={state} measurements={measurements} onPick={(label) => pick(label, true)} />
      )}
      {!isPlain && <KeyHints stage={stage} />}
    </section>
  );
}

function newStage(props: ViewerProps): Stage {
  const { base, image, labels, others, region, camera, t, z, channels } = props;
  const shared: Shared = { ...(camera && { camera }), ...(t && { t }), ...(z && { z }), ...(channels && { channels }) };
  const own = image.has_labels ? { base, image } : null;
  return new Stage(new ViewerState(image, shared, region), { base, labels: labels ?? own, others: others ?? null });
}

/** What is picked elsewhere is looked for as soon as the table of the plane is here. */
function usePicked(stage: Stage, measurements: Measurements | null, picked: number | undefined): void {
  const isWanted = useRef(false);
  useEffect(() => {
    if (picked === undefined || picked === stage.state.picked.peek()) return;
    stage.state.picked.value = picked;
    isWanted.current = !centre(stage, measurements, picked);
  }, [picked]);
  useSignalEffect(() => {
    const isShown = stage.view.value.width > 0;
    if (!measurements?.table.value || !isWanted.current || !isShown) return;
    isWanted.current = !centre(stage, measurements, stage.state.picked.peek());
  });
}

/** False: not yet known where it is, or the picture is hidden and has no size. */
function centre(stage: Stage, measurements: Measurements | null, label: number): boolean {
  if (label === 0) return true;
  const table = measurements?.table.peek();
  const { t, z } = stage.state.plane.peek();
  if (!table || table.plane.t !== t || table.plane.z !== z || stage.view.peek().width === 0) return false;
  const at = centroidOf(table, label);
  if (at) stage.centreOn(at);
  return true;
}
