// The whole window takes a drop: missing the frame must not open the file in the browser.

import { useEffect } from "preact/hooks";

import { go, route } from "../routes";
import { droppedFiles } from "../upload/dropped";
import { takeFiles } from "./intake";
import { pageTrouble, session } from "./kiosk";

const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;

export function DropWindow() {
  useEffect(() => {
    let depth = 0;
    const show = (): void => { document.body.classList.toggle("dropping", depth > 0); };
    const enter = (event: DragEvent): void => { if (hasFiles(event)) { depth++; show(); } };
    const leave = (event: DragEvent): void => {
      if (hasFiles(event)) { depth = Math.max(0, depth - 1); show(); }
    };
    const over = (event: DragEvent): void => { if (hasFiles(event)) event.preventDefault(); };
    const drop = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      show();
      void take(event.dataTransfer!);
    };
    addEventListener("dragenter", enter);
    addEventListener("dragleave", leave);
    addEventListener("dragover", over);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragenter", enter);
      removeEventListener("dragleave", leave);
      removeEventListener("dragover", over);
      removeEventListener("drop", drop);
    };
  }, []);
  return null;
}

async function take(transfer: DataTransfer): Promise<void> {
  if (session.isGuest.value) return;
  const files = droppedFiles(transfer); // begins before anything else: the list is empty later
  if (route.value.page !== "home") go("/");
  try {
    takeFiles(await files);
  } catch {
    pageTrouble.value = "The browser could not read what was dropped. Choose the files instead.";
  }
}
