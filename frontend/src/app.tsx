import { signal } from "@preact/signals";

const count = signal(0);

export function App() {
  return <main onClick={() => count.value++}>{count}</main>;
}
