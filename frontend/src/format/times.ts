// Moments and spans of time.

import { locale } from "./locale";
import { number } from "./numbers";

/** "14:32" for today, "3 Oct, 14:32" before. */
export function moment(text: string, now = new Date()): string {
  const time = new Date(text);
  const clock: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit" };
  if (time.toDateString() === now.toDateString()) return time.toLocaleTimeString(locale(), clock);
  return `${day(text, now)}, ${time.toLocaleTimeString(locale(), clock)}`;
}

/** "3 Oct", with the year where it is another. */
export function day(text: string, now = new Date()): string {
  const time = new Date(text);
  const isThisYear = time.getFullYear() === now.getFullYear();
  return time.toLocaleDateString(locale(), {
    day: "numeric", month: "short", ...(isThisYear ? {} : { year: "numeric" }),
  });
}

export function duration(seconds: number): string {
  if (seconds < 9.5) return `${number(Math.max(0, seconds), 2)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${number(seconds / 3600, 2)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

/** "about 3 min left", in steps that do not flicker. */
export function left(seconds: number): string {
  if (seconds < 10) return "a few seconds left";
  if (seconds < 60) return `about ${Math.ceil(seconds / 10) * 10} s left`;
  return `about ${duration(Math.max(90, seconds))} left`;
}

/** "in 6 days", "in 3 h", "soon". */
export function until(text: string, now_ms = Date.now()): string {
  const seconds = (Date.parse(text) - now_ms) / 1000;
  if (!(seconds > 60)) return "soon";
  const [value, unit] = seconds < 5400 ? [seconds / 60, "minute" as const]
    : seconds < 48 * 3600 ? [seconds / 3600, "hour" as const] : [seconds / 86400, "day" as const];
  // English, as the sentences are that it stands in.
  return new Intl.RelativeTimeFormat("en", { numeric: "always" }).format(Math.round(value), unit);
}

const DAY_MS = 24 * 3600 * 1000;

export function inDays(days: number): string {
  return new Date(Date.now() + days * DAY_MS).toISOString();
}
