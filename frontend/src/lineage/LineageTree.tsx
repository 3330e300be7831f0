// The families of a tracked movie, one drawn at a time: a movie may have thousands.

import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { count } from "../format/numbers";
import { below } from "../viewer/addresses";
import { useJson } from "../viewer/json";
import type { Lineage } from "../viewer/shapes";
import { FamilyTree } from "./FamilyTree";
import { familiesOf, type Family, withDivisions } from "./families";

/** Nobody reads a longer list; the rest is found by number. */
const MOST_LISTED = 200;

export interface LineageProps {
  job: { id: string };
  /** The track that is picked in the picture, or 0. */
  picked?: number;
  /** A branch was clicked, at a frame. */
  onPick?: (track: number, t: number) => void;
  /** The frame of the picture: marked, and set by a click. */
  t?: Signal<number>;
}

export function LineageTree({ job, picked = 0, onPick, t }: LineageProps) {
  const { answer, problem } = useJson<Lineage>(below(`/jobs/${job.id}`, "/lineage"));
  const families = useMemo(() => familiesOf(answer?.tracks ?? []), [answer]);
  const listed = useMemo(() => withDivisions(families).slice(0, MOST_LISTED), [families]);
  const marked = useSignal(picked);
  const wanted = useSignal(picked);
  useEffect(() => {
    marked.value = picked;
    if (picked) wanted.value = picked;
  }, [picked]);
  if (problem) return <p class="lineage-note" role="alert">{problem}</p>;
  if (!answer) return <p class="lineage-note">Loading…</p>;
  const family = familyWith(families, wanted.value) ?? listed[0] ?? families[0];
  if (!family) return <p class="lineage-note">There are no tracks.</p>;
  const pick = (track: number, frame: number) => {
    marked.value = track;
    if (t) t.value = frame;
    onPick?.(track, frame);
  };
  return (
    <section class="lineage" aria-label="Lineage">
      <Choice
        families={families} listed={listed} family={family}
        onChoose={(track) => { wanted.value = track; marked.value = track; }}
      />
      <FamilyTree family={family} picked={marked.value} at={t?.value} onPick={pick} />
    </section>
  );
}

function familyWith(families: Family[], track: number): Family | undefined {
  return track > 0 ? families.find(({ tracks }) => tracks.some((member) => member.track === track)) : undefined;
}

interface ChoiceProps {
  families: Family[];
  listed: Family[];
  family: Family;
  onChoose: (track: number) => void;
}

function Choice({ families, listed, family, onChoose }: ChoiceProps) {
  const isUnknown = useSignal(false);
  const choose = (track: number) => {
    isUnknown.value = !familyWith(families, track);
    if (!isUnknown.value) onChoose(track);
  };
  const shown = listed.includes(family) ? listed : [family, ...listed];
  return (
    <div class="lineage-bar">
      <label>
        Family of track{" "}
        <select value={family.root} onChange={(event) => choose(Number(event.currentTarget.value))}>
          {shown.map(({ root, divisions, tracks }) => (
            <option key={root} value={root}>{root} ({count(tracks.length, "track")}, {count(divisions, "division")})</option>
          ))}
        </select>
      </label>
      <label>
        Find track{" "}
        <input type="number" min="1" onChange={(event) => choose(Number(event.currentTarget.value))} />
      </label>
      <span class="lineage-note" role="status">
        {isUnknown.value ? "There is no such track."
          : `${count(families.length, "family", "families")} in all${listed.length ? "" : ", none with a division"}`}
      </span>
    </div>
  );
}
