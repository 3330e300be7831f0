// A part of every plane that alone is segmented.

import { settings } from "../page/kiosk";
import type { RegionField } from "./settings";

const LABELS: [RegionField, string][] = [
  ["min_x_px", "From x"], ["max_x_px", "to x"], ["min_y_px", "From y"], ["max_y_px", "to y"],
];

export function RegionFields() {
  return (
    <fieldset class="field">
      <legend>Only a region <span class="optional">optional, in pixels</span></legend>
      <div class="region">
        {LABELS.map(([field, label]) => (
          <label key={field}>{label}
            <input type="text" inputMode="numeric" autocomplete="off" name={field}
              value={settings.region.value[field]}
              onInput={(event) => {
                settings.region.value = { ...settings.region.value, [field]: event.currentTarget.value };
              }} />
          </label>
        ))}
      </div>
    </fieldset>
  );
}
