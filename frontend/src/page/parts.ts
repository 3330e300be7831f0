// Large parts of the page, in files of their own that are loaded when they are looked at.

export const loadViewer = () => import("../viewer").then((part) => part.default);
export const loadPlots = () => import("../plots").then((part) => part.default);
export const loadLineage = () => import("../lineage").then((part) => part.default);
export const loadComparison = () => import("../compare").then((part) => part.default);
