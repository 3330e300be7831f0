// Where files are dropped, what has become of them, and how they are run.

import { useState } from "preact/hooks";

import { runnable, session, tray } from "../page/kiosk";
import { Preview } from "../run/Preview";
import { RunForm } from "../run/RunForm";
import { DropZone } from "./DropZone";
import { FileList } from "./FileList";

export function FilesCard() {
  const [isPreviewing, setPreviewing] = useState(false);
  const isEmpty = tray.items.value.length === 0;
  if (session.isGuest.value) return null;
  if (isEmpty) return <section class="card intake-empty" aria-label="New images"><DropZone isLarge /></section>;
  const hasReady = runnable.value.length > 0;
  return (
    <section aria-label="New images" class="intake">
      <div class="card intake-files">
        <FileList />
        <DropZone />
      </div>
      <RunForm isPreviewing={isPreviewing} onPreview={() => setPreviewing(!isPreviewing)} />
      {isPreviewing && hasReady && <Preview onClose={() => setPreviewing(false)} />}
    </section>
  );
}
