// A place of an image, looked at anew whenever the place or the settings change.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { jobAddress } from "../api/jobs";
import { sentenceOf } from "../api/problem";
import type { InspectedImage } from "../api/types";
import type { FileItem } from "../files/item";
import { count } from "../format/numbers";
import { settings } from "../page/kiosk";
import { Progress } from "../page/Progress";
import { Viewer } from "../page/Viewer";
import type { Camera } from "../viewer/camera";
import { PlacePicker } from "./PlacePicker";
import { Previewing, regionAround } from "./previewing";
import { previewRequest } from "./request";

// Until somebody has typed, or drawn a slider, to the end.
const SETTLE_MS = 400;
// How large the piece is drawn, in pixels of the page.
const SHOWN_PX = 520;

interface Props {
  item: FileItem;
  image: InspectedImage;
}

export function PreviewedImage({ item, image }: Props) {
  const previewing = useRef(new Previewing()).current;
  const centre = useSignal({ y: 0.5, x: 0.5 });
  // Those of the viewer: going to another frame there looks at that one.
  const camera = useSignal<Camera | null>(null);
  const t = useSignal(Math.floor(image.size_t / 2));
  const z = useSignal(Math.floor(image.size_z / 2));
  useEffect(() => () => previewing.close(), []);

  const region = regionAround(image, centre.value.y, centre.value.x);
  const asked = askedBy(item);
  useEffect(() => {
    const ask = (): void => {
      try {
        const plane = { t: t.value, z: z.value };
        void previewing.show(previewRequest(item, image, settings.choice(), plane, region), plane);
      } catch (error) {
        previewing.trouble.value = sentenceOf(error);
      }
    };
    const timer = setTimeout(ask, previewing.found.value ? SETTLE_MS : 0);
    return () => clearTimeout(timer);
  }, [asked, t.value, z.value, centre.value]);

  const found = previewing.found.value;
  const isBusy = previewing.isBusy.value;
  return (
    <div class="preview-body">
      <div class="preview-place">
        <PlacePicker image={image} region={region} centre={centre.value} onMove={(place) => {
          centre.value = place;
          camera.value = cameraOn(regionAround(image, place.y, place.x));
        }} />
        <p class="preview-count" role="status">{found && !isBusy && !previewing.trouble.value
          ? <><strong>{count(found.instances, "cell")}</strong> found here</> : ""}</p>
        <p class="hint">Change the settings or go to another frame, and it is looked at anew.</p>
      </div>
      <div class="preview-view" aria-busy={isBusy}>
        {isBusy && <Progress label="Finding cells" share={null} />}
        {previewing.trouble.value && <p class="row-error" role="alert">{previewing.trouble.value}</p>}
        {found && <Viewer key={found.job.id} base={jobAddress(found.job.id)} image={found.image}
          camera={camera} t={t} z={z} isPlain />}
      </div>
    </div>
  );
}

/** All settings that the answer depends on, as a text to compare. */
function askedBy({ contents }: FileItem): string {
  return JSON.stringify([contents.channel.value, contents.corrections.value, settings.modelName.value,
    settings.version.value, settings.typed.value]);
}

function cameraOn(region: ReturnType<typeof regionAround>): Camera {
  const [width, height] = [region.max_x_px - region.min_x_px, region.max_y_px - region.min_y_px];
  return {
    x_px: region.min_x_px + width / 2, y_px: region.min_y_px + height / 2,
    scale: SHOWN_PX / Math.max(width, height),
  };
}
