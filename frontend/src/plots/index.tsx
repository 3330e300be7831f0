// The plots of a job; loaded when a page shows them.

import "uplot/dist/uPlot.min.css";
import "./plots.css";

export { Plots as default } from "./Plots";
export type { PlotsProps } from "./Plots";
