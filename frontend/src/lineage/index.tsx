// Who is whose daughter; loaded when a page shows it.

import "./lineage.css";

export { LineageTree as default } from "./LineageTree";
export type { LineageProps } from "./LineageTree";
