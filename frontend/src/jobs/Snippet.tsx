// The job as a few lines of Python, to copy.

import { useRef } from "preact/hooks";

import type { Job } from "../api/types";
import { CopyButton, selectText } from "../page/CopyButton";
import { pythonOf } from "./python";

export function Snippet({ job }: { job: Job }) {
  const code = useRef<HTMLElement>(null);
  const text = pythonOf(job, location.hostname);
  return (
    <details class="card pad snippet">
      <summary>The same from Python</summary>
      {/* It scrolls sideways, so keys must reach it. */}
      <pre tabIndex={0} aria-label="Python code"><code ref={code}>{text}</code></pre>
      <CopyButton text={text} label="Copy Python" select={() => selectText(code.current)} />
    </details>
  );
}
