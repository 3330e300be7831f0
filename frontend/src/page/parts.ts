// Large parts of the page, in files of their own that are loaded when they are looked at.

import type { Signal } from "@preact/signals";
import type { ComponentType } from "preact";

import type { ImageInfo, Job } from "../api/types";

/** The image point in the middle of the view, and CSS pixels per image pixel. */
export interface Camera {
  x_px: number;
  y_px: number;
  scale: number;
}

export interface ViewerProps {
  base: string;
  image: ImageInfo;
  picked?: number;
  onPick?: (label: number) => void;
  camera?: Signal<Camera | null>;
  t?: Signal<number>;
  z?: Signal<number>;
  isPlain?: boolean;
}

export interface FiguresProps {
  job: Job;
  onPick?: (label: number) => void;
}

export interface ComparisonProps {
  job: string;
  other: string;
}

interface Part<P> {
  default: ComponentType<P>;
}

// By pattern: a part whose folder is not there is left out instead of failing the build.
const viewers = import.meta.glob<Part<ViewerProps>>("../viewer/index.tsx");
const figures = import.meta.glob<Part<FiguresProps>>(["../plots/index.tsx", "../lineage/index.tsx"]);
const comparisons = import.meta.glob<Part<ComparisonProps>>("../compare/index.tsx");

async function loaded<P>(load: (() => Promise<Part<P>>) | undefined): Promise<ComponentType<P>> {
  if (!load) throw new Error("This part is not there.");
  return (await load()).default;
}

export const loadViewer = () => loaded(viewers["../viewer/index.tsx"]);
export const loadPlots = () => loaded(figures["../plots/index.tsx"]);
export const loadLineage = () => loaded(figures["../lineage/index.tsx"]);
export const loadComparison = () => loaded(comparisons["../compare/index.tsx"]);
