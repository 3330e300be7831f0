// What the kiosk has read in a file, with the means to put it right.

import { useState } from "preact/hooks";

import type { InspectedImage } from "../api/types";
import { count, parseNumber, typed } from "../format/numbers";
import { tray } from "../page/kiosk";
import { ChannelSelect } from "./ChannelSelect";
import { type Corrections, imageKey } from "./contents";
import type { FileItem } from "./item";
import { Thumbnail } from "./Thumbnail";
import { factsOf, placeOf } from "./words";

export function FileDetails({ item }: { item: FileItem }) {
  const { contents } = item;
  const alike = tray.likes(item);
  const [isForAll, setForAll] = useState(true);
  const targets = isForAll ? alike : [item];
  const image = contents.first.value;
  return (
    <div class="file-details">
      <div class="file-fields">
        {image && <ChannelField item={item} image={image} targets={targets} />}
        <CorrectionFields item={item} targets={targets} />
      </div>
      {alike.length > 1 && (
        <label class="option">
          <input type="checkbox" checked={isForAll}
            onChange={(event) => setForAll(event.currentTarget.checked)} />
          <span>Changes hold for all {count(alike.length, "file")} of this kind
            <span class="hint">Same format, axes and channels.</span></span>
        </label>
      )}
      {contents.images.value.length > 1 && <Images item={item} />}
      <Notes image={image} />
    </div>
  );
}

interface FieldProps {
  item: FileItem;
  targets: readonly FileItem[];
}

function ChannelField({ item, image, targets }: FieldProps & { image: InspectedImage }) {
  if (image.is_rgb || image.size_c < 2) return null;
  const id = `channel-${item.transfer.key}`;
  return (
    <div class="field">
      <label for={id}>Channel with the cells</label>
      <ChannelSelect id={id} item={item} image={image} targets={targets} />
    </div>
  );
}

function CorrectionFields({ item, targets }: FieldProps) {
  const { contents } = item;
  const { axes = "", pixel_size_um, z_step_um } = contents.corrections.value;
  const image = contents.first.value;
  const change = (correction: Corrections): void => tray.correct(targets, (target) => {
    target.contents.corrections.value = { ...target.contents.corrections.value, ...correction };
    return true;
  });
  const asRead = (value: number | undefined): string => (value ? typed(Number(value.toPrecision(6))) : "");
  return (
    <>
      <Correction id={`axes-${item.transfer.key}`} label="Axes" value={axes}
        placeholder={image?.axes || "as stored"}
        hint="Slowest first: T time, C channel, Z depth, Y, X. Only where the file says them wrongly."
        onChange={(text) => change({ axes: text.trim().toUpperCase() })} />
      <Correction id={`pixel-${item.transfer.key}`} label="Pixel size (µm)" value={asRead(pixel_size_um)}
        placeholder={asRead(image?.pixel_size_x_um) || "unknown"}
        onChange={(text) => change({ pixel_size_um: parseNumber(text) || 0 })} />
      {(image?.size_z ?? 1) > 1 && (
        <Correction id={`z-${item.transfer.key}`} label="Z step (µm)" value={asRead(z_step_um)}
          placeholder={asRead(image?.z_step_um) || "unknown"}
          onChange={(text) => change({ z_step_um: parseNumber(text) || 0 })} />
      )}
    </>
  );
}

interface CorrectionProps {
  id: string;
  label: string;
  value: string;
  placeholder: string;
  hint?: string;
  onChange: (text: string) => void;
}

function Correction({ id, label, value, placeholder, hint, onChange }: CorrectionProps) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input id={id} type="text" spellcheck={false} autocomplete="off" value={value}
        placeholder={placeholder} title={hint}
        onChange={(event) => onChange(event.currentTarget.value)} />
    </div>
  );
}

function Images({ item }: { item: FileItem }) {
  const { contents } = item;
  const images = contents.images.value;
  const setAll = (isIn: boolean): void => images.forEach((image) => contents.choose(image, isIn));
  return (
    <fieldset class="images">
      <legend>Images in this file
        <button type="button" class="quiet" onClick={() => setAll(true)}>All</button>
        <button type="button" class="quiet" onClick={() => setAll(false)}>None</button>
      </legend>
      {images.map((image) => {
        const key = imageKey(image);
        return (
          <label class="option" key={key}>
            <input type="checkbox" disabled={Boolean(image.error)}
              checked={!image.error && !contents.leftOut.value.has(key)}
              onChange={(event) => contents.choose(image, event.currentTarget.checked)} />
            <Thumbnail image={image} />
            <span>{placeOf(image)}
              <span class={image.error ? "row-error" : "hint"}>
                {image.error?.message ?? (image.size_x > 0 ? factsOf(image).join(" · ") : "")}
              </span>
            </span>
          </label>
        );
      })}
    </fieldset>
  );
}

function Notes({ image }: { image: InspectedImage | null }) {
  if (!image || image.notes.length === 0) return null;
  return <ul class="notes">{image.notes.map((note) => <li key={note}>{note}</li>)}</ul>;
}
