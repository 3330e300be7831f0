// A file in the tray: what it is, where it stands, and what can be done.

import { useState } from "preact/hooks";

import { percent } from "../format/numbers";
import { bytes } from "../format/sizes";
import { needsWord, tray } from "../page/kiosk";
import { neighbourOf } from "../page/focus";
import { Progress } from "../page/Progress";
import { ChannelDots } from "./ChannelDots";
import { QuickChannel } from "./ChannelSelect";
import { FileDetails } from "./FileDetails";
import type { FileItem } from "./item";
import { Thumbnail } from "./Thumbnail";
import { factsOf } from "./words";

// Of a zip with many bad images the first few say enough.
const MOST_REFUSALS = 5;

export function FileRow({ item }: { item: FileItem }) {
  const [isOpen, setOpen] = useState(false);
  const { contents, transfer } = item;
  const image = contents.first.value;
  const isRead = transfer.state.value === "arrived" && contents.state.value !== "unread";
  return (
    <li class="file" data-state={rowState(item)}>
      <Thumbnail image={image} />
      <div class="file-main">
        <p class="name">{item.name}</p>
        <p class="meta">{image ? summary(item) : transfer.size_bytes > 0 ? bytes(transfer.size_bytes) : ""}</p>
        {image && <ChannelDots image={image} chosen={contents.channel.value} />}
        {needsWord(item) && !isOpen && <QuickChannel item={item} />}
        <Trouble item={item} />
      </div>
      <State item={item} />
      <Actions item={item} isOpen={isOpen} canOpen={isRead} onOpen={() => setOpen(!isOpen)} />
      {isOpen && isRead && <FileDetails item={item} />}
    </li>
  );
}

function summary({ contents }: FileItem): string {
  const image = contents.first.value!;
  const images = contents.images.value.length;
  const number = images > 1 ? [`${contents.chosen.value.length} of ${images} images`] : [];
  return [...number, ...(image.size_x > 0 ? factsOf(image) : [])].join(" · ");
}

function rowState(item: FileItem): string {
  if (item.doubt.value || item.refusals.value.length > 0) return "failed";
  if (item.contents.state.value === "unreadable") return "failed";
  if (item.isReady.value) return needsWord(item) ? "queued" : "succeeded";
  const state = item.transfer.state.value;
  return state === "failed" ? "failed" : state === "sending" ? "running" : "queued";
}

function stateText(item: FileItem): string {
  const { contents, transfer } = item;
  if (item.isStarting.value) return "Starting";
  if (item.doubt.value) return "Not sent";
  const read = { unread: "Arrived", reading: "Reading the file", unreadable: "Cannot be read" } as const;
  switch (transfer.state.value) {
    case "waiting": return "Waiting to be sent";
    case "sending": return "Sending";
    case "interrupted": return "Waiting for the connection";
    case "paused": return "Paused";
    case "failed": return "Not sent";
    case "missing": return "Choose the file again to go on";
    case "arrived": {
      const state = contents.state.value;
      if (state !== "read") return read[state];
      if (item.refusals.value.length > 0) return "Not accepted";
      return needsWord(item) ? "Choose a channel" : "Ready";
    }
  }
}

function State({ item }: { item: FileItem }) {
  const { transfer } = item;
  const state = transfer.state.value;
  const isMoving = ["sending", "paused", "interrupted"].includes(state);
  const share = transfer.size_bytes > 0 ? transfer.sent_bytes.value / transfer.size_bytes : 0;
  const isBusy = item.isStarting.value || item.contents.state.value === "reading";
  return (
    <div class="file-state">
      <p class="row-line"><span class="state">{stateText(item)}</span>
        {isMoving && <span class="number">{percent(share)}</span>}</p>
      {isMoving && <Progress label={`Upload of ${item.name}`} share={share} />}
      {isBusy && <Progress label={`Reading ${item.name}`} share={null} />}
    </div>
  );
}

function Trouble({ item }: { item: FileItem }) {
  const { contents, transfer } = item;
  const sentence = item.doubt.value || transfer.trouble.value || contents.trouble.value;
  const refusals = item.refusals.value;
  const rest = refusals.length - MOST_REFUSALS;
  return (
    <>
      {sentence && <p class="row-error" role="alert">{sentence}</p>}
      {refusals.slice(0, MOST_REFUSALS).map(({ place, sentence: refusal }) => (
        <p class="row-error" role="alert" key={place}>{place && `${place}: `}{refusal}</p>
      ))}
      {rest > 0 && <p class="row-error">and {rest} more.</p>}
    </>
  );
}

interface ActionProps {
  item: FileItem;
  isOpen: boolean;
  canOpen: boolean;
  onOpen: () => void;
}

function Actions({ item, isOpen, canOpen, onOpen }: ActionProps) {
  const { transfer } = item;
  const state = transfer.state.value;
  const { queue } = tray;
  return (
    <div class="file-actions">
      {canOpen && <button type="button" class="quiet" aria-expanded={isOpen} onClick={onOpen}
        aria-label={`Details of ${item.name}`}>Details</button>}
      {item.doubt.value && item.mayTry && <button type="button" class="quiet"
        aria-label={`Send anyway: ${item.name}`} onClick={() => tray.tryAnyway(item)}>
        Send anyway</button>}
      {transfer.isOpen && !item.doubt.value && <button type="button" class="quiet"
        aria-label={`Pause ${item.name}`} onClick={() => queue.pause(transfer)}>Pause</button>}
      {state === "paused" && <button type="button" class="quiet" aria-label={`Go on with ${item.name}`}
        onClick={() => queue.resume(transfer)}>Go on</button>}
      {item.contents.state.value === "unreadable" && <button type="button" class="quiet"
        aria-label={`Try again: ${item.name}`} onClick={() => tray.inspector.read(item)}>
        Try again</button>}
      {state === "failed" && <button type="button" class="quiet" aria-label={`Try again: ${item.name}`}
        onClick={() => queue.resume(transfer)}>Try again</button>}
      <button type="button" class="quiet icon" aria-label={`Remove ${item.name}`} title="Remove"
        onClick={(event) => {
          const focusNext = neighbourOf(event.currentTarget, "li", ".icon");
          tray.remove(item);
          setTimeout(focusNext);
        }}>×</button>
    </div>
  );
}
