// The picture of a job or an upload; loaded when a page shows one.

import "./viewer.css";

export { ViewerPanel as default } from "./ViewerPanel";
export type { ViewerProps } from "./ViewerPanel";
