// The preview: a place of a file, and what the model finds there with the settings as they are.

import { useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";

import type { InspectedImage } from "../api/types";
import { thumbnailUrl } from "../files/Thumbnail";
import { count } from "../format/numbers";
import { jobAddress } from "../api/jobs";
import { runnable, settings } from "../page/kiosk";
import { Progress } from "../page/Progress";
import { Viewer } from "../page/Viewer";
import type { Camera } from "../viewer/camera";
import { type Found, Previewing, regionAround } from "./previewing";
import { previewRequest } from "./request";
import { BadSetting } from "./settings";

// Until somebody has typed to the end.
const SETTLE_MS = 500;
// How large the piece is drawn, in pixels of the page.
const SHOWN_PX = 420;
const STEP = 0.05; // of the image, by the arrow keys

interface Place {
  t: number;
  z: number;
  y: number;
  x: number;
}

export function Preview({ onClose }: { onClose: () => void }) {
  const previewing = useRef(new Previewing()).current;
  const [key, setKey] = useState("");
  const [place, setPlace] = useState<Place | null>(null);
  const ready = runnable.value;
  const item = ready.find(({ transfer }) => transfer.key === key) ?? ready[0];
  const image = item?.contents.chosen.value.find((one) => one.size_x > 0) ?? null;
  const shown = image && (place ?? middleOf(image));
  useEffect(() => () => previewing.close(), []);

  // Whatever changes the answer asks anew.
  const asked = item && image && shown ? askedBy(item.contents.channel.value) : "";
  useEffect(() => {
    if (!item || !image || !shown) return;
    const timer = setTimeout(() => {
      try {
        const plane = { t: shown.t, z: shown.z };
        const region = regionAround(image, shown.y, shown.x);
        void previewing.show(previewRequest(item, image, settings.choice(), plane, region), plane, region);
      } catch (error) {
        if (error instanceof BadSetting) previewing.trouble.value = error.message;
        else throw error;
      }
    }, SETTLE_MS);
    return () => clearTimeout(timer);
  }, [item?.transfer.key, image, asked, shown?.t, shown?.z, shown?.y, shown?.x]);

  if (!item || !image || !shown) return null;
  return (
    <section class="card preview" aria-labelledby="preview-title">
      <div class="section-head">
        <h2 id="preview-title">Preview</h2>
        <Count previewing={previewing} />
        <span class="spacer" />
        <button type="button" class="quiet" onClick={onClose}>Close</button>
      </div>
      <div class="preview-body">
        <div class="preview-place">
          {ready.length > 1 && (
            <div class="field">
              <label for="preview-file">File</label>
              <select id="preview-file" value={item.transfer.key} onChange={(event) => {
                setKey(event.currentTarget.value);
                setPlace(null);
              }}>
                {ready.map((one) => (
                  <option key={one.transfer.key} value={one.transfer.key}>{one.name}</option>
                ))}
              </select>
            </div>
          )}
          <PlacePicker image={image} place={shown} onPlace={setPlace} />
          <PlaneSlider label="Frame" size={image.size_t} value={shown.t}
            onChange={(t) => setPlace({ ...shown, t })} />
          <PlaneSlider label="Plane" size={image.size_z} value={shown.z}
            onChange={(z) => setPlace({ ...shown, z })} />
        </div>
        <Outlines previewing={previewing} />
      </div>
    </section>
  );
}

/** All settings that the answer depends on, as a text to compare. */
function askedBy(channel: string): string {
  return JSON.stringify([channel, settings.modelName.value, settings.version.value, settings.typed.value]);
}

const middleOf = (image: InspectedImage): Place =>
  ({ t: Math.floor(image.size_t / 2), z: Math.floor(image.size_z / 2), y: 0.5, x: 0.5 });

function Count({ previewing }: { previewing: Previewing }) {
  const found = previewing.found.value;
  const text = found && !previewing.isBusy.value && !previewing.trouble.value
    ? `${count(found.instances, "cell")} found here` : "";
  return <p class="hint" role="status">{text}</p>;
}

function Outlines({ previewing }: { previewing: Previewing }) {
  const found = previewing.found.value;
  const trouble = previewing.trouble.value;
  return (
    <div class="preview-view" aria-busy={previewing.isBusy.value}>
      {previewing.isBusy.value && <Progress label="Finding cells" share={null} />}
      {trouble && <p class="row-error" role="alert">{trouble}</p>}
      {found && <Picture key={found.job.id} found={found} />}
    </div>
  );
}

/** The plane and the piece that were looked at, and nothing else around. */
function Picture({ found }: { found: Found }) {
  const { job, image, plane, region } = found;
  const camera = useSignal<Camera | null>({
    x_px: (region.min_x_px + region.max_x_px) / 2,
    y_px: (region.min_y_px + region.max_y_px) / 2,
    scale: SHOWN_PX / Math.max(region.max_x_px - region.min_x_px, region.max_y_px - region.min_y_px),
  });
  const t = useSignal(plane.t);
  const z = useSignal(plane.z);
  return <Viewer base={jobAddress(job.id)} image={image} camera={camera} t={t} z={z} isPlain />;
}

interface PickerProps {
  image: InspectedImage;
  place: Place;
  onPlace: (place: Place) => void;
}

/** The thumbnail with a frame around the piece; a click moves it. */
function PlacePicker({ image, place, onPlace }: PickerProps) {
  const region = regionAround(image, place.y, place.x);
  const url = thumbnailUrl(image);
  const move = (y: number, x: number): void => onPlace({
    ...place, y: Math.min(1, Math.max(0, y)), x: Math.min(1, Math.max(0, x)) });
  const onKeyDown = (event: KeyboardEvent): void => {
    const way = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    move(place.y + way[0]! * STEP, place.x + way[1]! * STEP);
  };
  const isWhole = region.max_x_px - region.min_x_px === image.size_x
    && region.max_y_px - region.min_y_px === image.size_y;
  if (!url || isWhole) return null;
  const share = (value: number, size: number): string => `${(100 * value) / size}%`;
  return (
    <button type="button" class="place" onKeyDown={onKeyDown}
      aria-label="Place of the preview: click it, or use the arrow keys"
      onClick={(event) => {
        if (event.detail === 0) return; // by the keyboard; the arrows move
        const box = event.currentTarget.getBoundingClientRect();
        move((event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width);
      }}>
      <img src={url} alt="" />
      <span class="place-frame" style={{
        left: share(region.min_x_px, image.size_x),
        top: share(region.min_y_px, image.size_y),
        width: share(region.max_x_px - region.min_x_px, image.size_x),
        height: share(region.max_y_px - region.min_y_px, image.size_y),
      }} />
    </button>
  );
}

interface SliderProps {
  label: string;
  size: number;
  value: number;
  onChange: (value: number) => void;
}

function PlaneSlider({ label, size, value, onChange }: SliderProps) {
  if (size < 2) return null;
  return (
    <label class="slider">{label}
      <input type="range" min={0} max={size - 1} value={value}
        onChange={(event) => onChange(event.currentTarget.valueAsNumber)} />
      <output class="number">{value + 1} of {size}</output>
    </label>
  );
}
