// How cells are followed through time.

import type { TrackingOptions } from "../api/types";
import { settings } from "../page/kiosk";

const MOST_GAP_FRAMES = 3; // what the linker sees ahead

export function TrackingFields() {
  const options = settings.tracking.value;
  // What is at its default is not sent.
  const set = (name: keyof TrackingOptions, value: unknown): void => {
    const { [name]: _, ...others } = options;
    settings.tracking.value = value === undefined ? others : { ...others, [name]: value };
  };
  return (
    <fieldset class="field">
      <legend class="hidden">Tracking</legend>
      <Option label="Cells divide" isOn={options.divisions ?? true}
        onChange={(isOn) => set("divisions", isOn ? undefined : false)} />
      <Option label="Take off what the whole frame has moved" isOn={options.correct_drift ?? true}
        onChange={(isOn) => set("correct_drift", isOn ? undefined : false)} />
      <Option label="Mend cells that are cut or run together in single frames" isOn={options.mend ?? true}
        onChange={(isOn) => set("mend", isOn ? undefined : false)} />
      <Option label="Count a frame that cannot be read as empty, instead of failing"
        isOn={options.skip_bad_frames ?? false}
        onChange={(isOn) => set("skip_bad_frames", isOn ? true : undefined)} />
      <div class="field inline">
        <label for="gap">Frames a cell may be missed in</label>
        <select id="gap" value={options.longest_gap_frames ?? ""}
          onChange={(event) => {
            const { value } = event.currentTarget;
            set("longest_gap_frames", value === "" ? undefined : Number(value));
          }}>
          <option value="">automatic</option>
          {Array.from({ length: MOST_GAP_FRAMES + 1 }, (_, frames) => (
            <option key={frames} value={frames}>{frames}</option>
          ))}
        </select>
      </div>
      <div class="field inline">
        <label for="reach">Longest way per frame (px)</label>
        <input id="reach" type="text" inputMode="decimal" autocomplete="off" placeholder="automatic"
          value={settings.reach.value}
          onInput={(event) => { settings.reach.value = event.currentTarget.value; }} />
      </div>
      <div class="field inline">
        <label for="linker">Linking by</label>
        <select id="linker" value={options.linker ?? ""}
          onChange={(event) => set("linker", event.currentTarget.value || undefined)}>
          <option value="">automatic</option>
          <option value="network">network</option>
          <option value="geometric">position and shape</option>
        </select>
      </div>
    </fieldset>
  );
}

interface OptionProps {
  label: string;
  isOn: boolean;
  onChange: (isOn: boolean) => void;
}

function Option({ label, isOn, onChange }: OptionProps) {
  return (
    <label class="option">
      <input type="checkbox" checked={isOn} onChange={(event) => onChange(event.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}
