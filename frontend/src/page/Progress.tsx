// A bar that fills; it moves by itself while nobody knows how far it is.

import { useEffect, useRef } from "preact/hooks";

export function Progress({ label, share }: { label: string; share: number | null }) {
  const bar = useRef<HTMLProgressElement>(null);
  useEffect(() => {
    if (!bar.current) return;
    if (share === null) bar.current.removeAttribute("value");
    else bar.current.value = share;
  }, [share]);
  return <progress ref={bar} max={1} aria-label={label} />;
}
