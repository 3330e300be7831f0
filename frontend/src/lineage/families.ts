// Families of tracks, and where each track of a family is drawn.

import type { Track } from "../viewer/shapes";

export interface Family {
  /** The track without a mother. */
  readonly root: number;
  /** The root first, each mother before her daughters. */
  readonly tracks: Track[];
  readonly divisions: number;
}

export interface Branch {
  readonly track: Track;
  /** From above, 0 first; a mother lies half-way between her daughters. */
  readonly row: number;
  readonly daughters: number[];
}

export interface Tree {
  readonly branches: Branch[];
  readonly byTrack: ReadonlyMap<number, Branch>;
  readonly rows: number;
  readonly first_t: number;
  readonly last_t: number;
}

/** Every track is in one family, also where the table knows no mother of that number. */
export function familiesOf(tracks: Track[]): Family[] {
  const known = new Map(tracks.map((track) => [track.track, track]));
  const daughters = daughtersOf(tracks);
  const seen = new Set<number>();
  const roots = tracks.filter(({ parent }) => !known.has(parent));
  return roots.map(({ track: root }) => {
    const members: Track[] = [];
    const waiting = [root];
    for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
      if (seen.has(number)) continue;
      seen.add(number);
      members.push(known.get(number)!);
      waiting.push(...(daughters.get(number) ?? []).toReversed());
    }
    const divisions = members.filter(({ track }) => (daughters.get(track)?.length ?? 0) > 1).length;
    return { root, tracks: members, divisions };
  });
}

function daughtersOf(tracks: Track[]): Map<number, number[]> {
  const daughters = new Map<number, number[]>();
  for (const { track, parent } of tracks) {
    if (parent === track) continue;
    const sisters = daughters.get(parent);
    if (sisters) sisters.push(track);
    else daughters.set(parent, [track]);
  }
  return daughters;
}

/** Those with most divisions first: what there is to see in a tree. */
export function withDivisions(families: Family[]): Family[] {
  return families.filter(({ divisions }) => divisions > 0)
    .sort((a, b) => b.divisions - a.divisions || a.root - b.root);
}

export function treeOf({ tracks }: Family): Tree {
  const daughters = daughtersOf(tracks);
  const rows = new Map<number, number>();
  let next = 0;
  for (const { track } of tracks) if (!daughters.has(track)) rows.set(track, next++);
  // Mothers stand before their daughters, so backwards every daughter has her row already.
  for (const { track } of tracks.toReversed()) {
    const places = (daughters.get(track) ?? []).map((daughter) => rows.get(daughter) ?? 0);
    if (places.length > 0) rows.set(track, places.reduce((sum, row) => sum + row, 0) / places.length);
  }
  const branches = tracks.map((track) => ({
    track, row: rows.get(track.track) ?? 0, daughters: daughters.get(track.track) ?? [],
  }));
  return {
    branches,
    byTrack: new Map(branches.map((branch) => [branch.track.track, branch])),
    rows: next,
    first_t: Math.min(...tracks.map(({ first_t }) => first_t)),
    last_t: Math.max(...tracks.map(({ last_t }) => last_t)),
  };
}
