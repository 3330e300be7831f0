// Which channel of a file has the cells.

import type { InspectedImage } from "../api/types";
import { tray } from "../page/kiosk";
import type { FileItem } from "./item";

interface Props {
  id: string;
  item: FileItem;
  image: InspectedImage;
  /** The files that the choice is for. */
  targets: readonly FileItem[];
  label?: string;
}

export function ChannelSelect({ id, item, image, targets, label }: Props) {
  return (
    <select id={id} aria-label={label} value={item.contents.channel.value}
      onChange={(event) => {
        const { value } = event.currentTarget;
        tray.correct(targets, ({ contents }) => { contents.channel.value = value; return false; });
      }}>
      <option value="">Which channel has the cells?</option>
      {image.channel_names.map((name, number) => (
        <option key={number} value={isUnique(image, name) ? name : String(number)}>
          {name || `channel ${number}`}
        </option>
      ))}
    </select>
  );
}

/** In the row itself: what is chosen holds for all files of the kind that have no channel yet. */
export function QuickChannel({ item }: { item: FileItem }) {
  const image = item.contents.first.value;
  if (!image) return null;
  const targets = tray.likes(item).filter((other) => other.contents.channel.value === "");
  return (
    <div class="quick-channel">
      <ChannelSelect id={`quick-${item.transfer.key}`} item={item} image={image} targets={targets}
        label={`Channel with the cells in ${item.name}`} />
      {targets.length > 1 && <p class="hint">For all {targets.length} files of this kind.</p>}
    </div>
  );
}

/** Names that occur twice, or look like a number, name no channel. */
function isUnique({ channel_names }: InspectedImage, name: string): boolean {
  if (name === "" || /^\d+$/.test(name)) return false;
  return channel_names.filter((other) => other === name).length === 1;
}
