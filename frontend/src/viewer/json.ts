// An answer of the server, for a component.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { getJson } from "../api/client";
import { sentenceOf } from "../api/problem";

export interface Asked<T> {
  readonly answer: T | null;
  /** What is wrong, as a sentence; "" if nothing is. */
  readonly problem: string;
}

export function useJson<T>(path: string): Asked<T> {
  const asked = useSignal<Asked<T>>({ answer: null, problem: "" });
  useEffect(() => {
    const stopper = new AbortController();
    asked.value = { answer: null, problem: "" };
    getJson<T>(path, stopper.signal).then(
      (answer) => { asked.value = { answer, problem: "" }; },
      (error: unknown) => {
        if (!stopper.signal.aborted) asked.value = { answer: null, problem: sentenceOf(error) };
      },
    );
    return () => stopper.abort();
  }, [path]);
  return asked.value;
}
