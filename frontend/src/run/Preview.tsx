// The preview: what the model finds at one place with the settings as they are, before all is run.

import { useState } from "preact/hooks";

import { imageKey } from "../files/contents";
import { runnable } from "../page/kiosk";
import { PreviewedImage } from "./PreviewedImage";

export function Preview({ onClose }: { onClose: () => void }) {
  const [key, setKey] = useState("");
  const ready = runnable.value;
  const item = ready.find(({ transfer }) => transfer.key === key) ?? ready[0];
  const image = item?.contents.chosen.value.find((one) => one.size_x > 0);
  if (!item || !image) return null;
  return (
    <section class="card preview" aria-labelledby="preview-title">
      <div class="section-head">
        <h2 id="preview-title">Preview</h2>
        {ready.length > 1 && (
          <select aria-label="File of the preview" value={item.transfer.key}
            onChange={(event) => setKey(event.currentTarget.value)}>
            {ready.map(({ name, transfer }) => (
              <option key={transfer.key} value={transfer.key}>{name}</option>
            ))}
          </select>
        )}
        <span class="spacer" />
        <button type="button" class="quiet" onClick={onClose}>Close</button>
      </div>
      <PreviewedImage key={`${item.transfer.key} ${imageKey(image)}`} item={item} image={image} />
    </section>
  );
}
