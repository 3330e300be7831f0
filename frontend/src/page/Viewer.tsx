// The picture of a job with its outlines; its code comes when it is first looked at.

import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import type { ImageInfo, Plane, Region } from "../api/types";
import { Lazy } from "../Lazy";
import { type Camera, loadViewer, type ViewerProps } from "./parts";

interface Props {
  base: string;
  image: ImageInfo;
  /** Where to begin: a plane, and a part of it. */
  plane?: Plane;
  region?: Region;
  picked?: number;
  onPick?: (label: number) => void;
}

export function Viewer({ base, image, plane, region, picked, onPick }: Props) {
  const begin = useMemo(() => ({
    ...(region && { camera: signal<Camera | null>(null) }),
    ...(plane && { t: signal(plane.t), z: signal(plane.z) }),
  }), []);
  const props: ViewerProps = {
    base, image, ...begin,
    ...(picked !== undefined && { picked }),
    ...(onPick && { onPick }),
    ...(region && { isPlain: true }),
  };
  return <Lazy load={loadViewer} props={props} waiting="Opening the picture…" />;
}
