// Asks before something is lost.

import { signal } from "@preact/signals";

export interface Question {
  title: string;
  text: string;
  yes: string;
  settle: (answer: boolean) => void;
}

export const question = signal<Question | null>(null);

/** True for yes. A question that is still open counts as no. */
export function confirmed(title: string, text: string, yes: string): Promise<boolean> {
  question.value?.settle(false);
  return new Promise((resolve) => {
    const settle = (answer: boolean): void => {
      question.value = null;
      resolve(answer);
    };
    question.value = { title, text, yes, settle };
  });
}
