// A mask: only instances inside of it count.

import { useRef, useState } from "preact/hooks";

import { sentenceOf } from "../api/problem";
import { percent } from "../format/numbers";
import { settings } from "../page/kiosk";
import { sendOne } from "../upload/single";

export function MaskField() {
  const input = useRef<HTMLInputElement>(null);
  const [status, setStatus] = useState("");
  const mask = settings.within.value;

  async function send(file: File): Promise<void> {
    setStatus("Sending…");
    try {
      const upload = await sendOne(file, (share) => setStatus(`Sending, ${percent(share)}`));
      settings.within.value = { upload, name: file.name };
      setStatus("");
    } catch (error) {
      setStatus(sentenceOf(error));
    }
  }

  return (
    <div class="field">
      <p class="label" id="mask-label">Only inside of a mask <span class="optional">optional</span></p>
      {mask ? (
        <p class="row-line"><span class="name">{mask.name}</span>
          <button type="button" class="quiet" onClick={() => { settings.within.value = null; }}>
            Remove</button></p>
      ) : (
        <button type="button" aria-describedby="mask-label mask-hint"
          onClick={() => input.current?.click()}>Choose a mask file</button>
      )}
      <p class="hint" id="mask-hint" role="status">{status || "An image of the same size: 0 is outside."}</p>
      <input ref={input} type="file" hidden aria-label="Mask file" onChange={(event) => {
        const file = event.currentTarget.files?.[0];
        if (file) void send(file);
        event.currentTarget.value = "";
      }} />
    </div>
  );
}
