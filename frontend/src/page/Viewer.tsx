// The picture of a job with its outlines; its code comes when it is first looked at.

import type { ViewerProps } from "../viewer";
import { Lazy } from "../Lazy";
import { loadViewer } from "./parts";

export function Viewer(props: ViewerProps) {
  return <Lazy load={loadViewer} props={props} waiting="Opening the picture…" />;
}
