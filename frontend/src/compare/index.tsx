// Two results side by side; loaded when a page shows them.

import "uplot/dist/uPlot.min.css";
import "../plots/plots.css";
import "./compare.css";

export { CompareView as default } from "./CompareView";
export type { CompareProps } from "./CompareView";
