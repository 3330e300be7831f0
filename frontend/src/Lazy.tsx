// Parts that are not in the first load of the page.

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

interface Props<P> {
  load: () => Promise<ComponentType<P>>;
  props: P;
  /** What is shown meanwhile. */
  waiting?: string;
}

/** Shows a component once its file has come; says so when it does not. */
export function Lazy<P extends object>({ load, props, waiting = "Loading…" }: Props<P>) {
  const [part, setPart] = useState<{ Part: ComponentType<P> } | null>(null);
  const [isFailed, setFailed] = useState(false);
  useEffect(() => {
    let isGone = false;
    load().then(
      (Part) => { if (!isGone) setPart({ Part }); },
      () => { if (!isGone) setFailed(true); },
    );
    return () => { isGone = true; };
  }, [load]);
  if (isFailed) {
    return <p class="banner" role="alert">This part of the page could not be loaded. Is the kiosk
      still running? Load the page again.</p>;
  }
  return part ? <part.Part {...props} /> : <p class="hint waiting" role="status">{waiting}</p>;
}
