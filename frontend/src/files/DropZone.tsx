// The frame that takes files, with buttons for those who do not drag.

import { useRef } from "preact/hooks";

import { takeFiles } from "../page/intake";

export function DropZone({ isLarge = false }: { isLarge?: boolean }) {
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const taken = (input: HTMLInputElement): void => {
    takeFiles([...input.files ?? []]);
    input.value = ""; // so that the same file can be chosen again
  };
  return (
    <div class={isLarge ? "drop large" : "drop"} id="drop">
      {isLarge && <Arrow />}
      <p class="drop-title">{isLarge ? "Drop images or folders here" : "Drop more here"}</p>
      <p class="drop-buttons">
        <button type="button" class={isLarge ? "primary" : ""} id="choose-files"
          onClick={() => files.current?.click()}>Choose files</button>
        <button type="button" id="choose-folder"
          onClick={() => folder.current?.click()}>Choose a folder</button>
      </p>
      {isLarge && <p class="hint">TIFF and OME-TIFF stacks, movies, whole slides, PNG, JPEG, or a zip
        of images. You see what the kiosk reads in them before anything runs.</p>}
      <input ref={files} type="file" id="files" multiple hidden aria-label="Files"
        onChange={(event) => taken(event.currentTarget)} />
      <input ref={(input) => { folder.current = input; input?.setAttribute("webkitdirectory", ""); }}
        type="file" id="folder" hidden aria-label="Folder"
        onChange={(event) => taken(event.currentTarget)} />
    </div>
  );
}

function Arrow() {
  return (
    <svg viewBox="0 0 48 48" width="44" height="44" aria-hidden="true" fill="none"
      stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">
      <path d="M24 31V9M15.5 17.5 24 9l8.5 8.5" />
      <path d="M7 30v6a4 4 0 0 0 4 4h26a4 4 0 0 0 4-4v-6" />
    </svg>
  );
}
