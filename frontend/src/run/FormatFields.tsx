// Which result files are written.

import type { Format } from "../api/types";
import { catalogue, settings } from "../page/kiosk";

export function FormatFields() {
  const formats = catalogue.formats.value;
  const chosen = settings.formats.value
    ?? formats.filter((format) => format.is_default).map((format) => format.name);
  const change = (name: string, isIn: boolean): void => {
    const names = isIn ? [...chosen, name] : chosen.filter((other) => other !== name);
    settings.formats.value = isDefault(names, formats) ? null : names;
  };
  return (
    <fieldset class="field" id="formats">
      <legend class="hidden">Result files</legend>
      {formats.map(({ name, ending, description }) => (
        <label class="option" key={name}>
          <input type="checkbox" value={name} checked={chosen.includes(name)}
            // The last one stays: no file at all is nothing to come back for.
            disabled={chosen.length === 1 && chosen[0] === name}
            onChange={(event) => change(name, event.currentTarget.checked)} />
          <span title={description}>{shortOf(description)}<span class="hint">…{ending}</span></span>
        </label>
      ))}
    </fieldset>
  );
}

/** "Label image (OME-TIFF)" of "Label image (OME-TIFF): 0 is background, ..." */
function shortOf(description: string): string {
  const [first = description] = description.split(/[.:,;] /);
  return first.replace(/\.$/, "");
}

function isDefault(names: readonly string[], formats: readonly Format[]): boolean {
  return formats.every((format) => format.is_default === names.includes(format.name));
}
