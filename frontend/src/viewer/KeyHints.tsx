import { KEYS } from "./keyboard";
import type { Stage } from "./stage";

export function KeyHints({ stage }: { stage: Stage }) {
  const keys = KEYS.filter(({ isThere }) => isThere?.(stage) ?? true);
  return (
    <details class="viewer-section">
      <summary>Keys and gestures</summary>
      <p class="viewer-keys">
        {keys.map(({ names, meaning }) => (
          <span key={meaning}>{names.map((name) => <kbd key={name}>{name}</kbd>)} {meaning}</span>
        ))}
        <span>wheel, pinch or double click: zoom</span>
        <span>drag: move</span>
        <span>click: pick</span>
      </p>
    </details>
  );
}
