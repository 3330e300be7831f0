// Elements and texts. Nothing here or elsewhere parses HTML: names of files are hostile.

export const $ = (id) => document.getElementById(id);

/** A new element. Keys are attributes, besides `text` and `on<event>` handlers. */
export function el(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(options)) {
    if (key === "text") element.textContent = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** Set the text only when it differs, so that screen readers and selections are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows a sentence, or hides the element when there is none. */
export function say(element, text) {
  setText(element, text);
  element.hidden = !text;
}

/** Speaks a sentence to screen readers. */
export function announce(text) {
  $("announce").textContent = text;
}

const LOCALE = "en-GB"; // the language of the page, whatever the browser's is

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString(LOCALE)} ${number === 1 ? one : many}`;
}

export function bytes(size) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  for (; size >= 1024 && step < units.length - 1; step++) size /= 1024;
  return `${size.toLocaleString(LOCALE, { maximumSignificantDigits: 3 })} ${units[step]}`;
}

/** "14:32" for today, "3 Oct, 14:32" before. */
export function moment(text) {
  const time = new Date(text);
  const clock = { hour: "2-digit", minute: "2-digit" };
  const isToday = time.toDateString() === new Date().toDateString();
  const day = isToday ? {} : { day: "numeric", month: "short" };
  return time.toLocaleString(LOCALE, { ...day, ...clock });
}

export function duration(seconds) {
  if (seconds < 0.95) return "less than a second";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** Asks before something is lost; true for yes. */
export function confirmed(title, text, yes) {
  const dialog = $("confirm");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  // Not the dialog's "close" event: it comes late and could answer for the next question.
  return new Promise((resolve) => {
    const listening = new AbortController();
    const settle = (answer) => {
      listening.abort();
      resolve(answer);
    };
    const { signal } = listening;
    $("confirm-yes").addEventListener("click", () => settle(true), { signal });
    dialog.querySelector("button[value=no]").addEventListener("click", () => settle(false), { signal });
    dialog.addEventListener("cancel", () => settle(false), { signal });
  });
}
