// The page's colours, for what is drawn on a canvas.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export interface PlotColours {
  readonly [name: string]: string;
}

function read(): PlotColours {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return { ink: of("--ink-soft"), grid: of("--line"), line: of("--accent"), fill: of("--accent-soft") };
}

/** They change when the screen goes from light to dark. */
export function useColours() {
  const colours = useSignal(read());
  useEffect(() => {
    const isDark = matchMedia("(prefers-color-scheme: dark)");
    const change = () => { colours.value = read(); };
    isDark.addEventListener("change", change);
    return () => isDark.removeEventListener("change", change);
  }, []);
  return colours;
}
