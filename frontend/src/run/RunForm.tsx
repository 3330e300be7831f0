// How the files are run: model, tracking, results, and the button.

import type { ComponentChildren } from "preact";

import { count } from "../format/numbers";
import {
  catalogue, needsWord, run, runnable, runTrouble, settings, startsByItself, tray,
} from "../page/kiosk";
import { FormatFields } from "./FormatFields";
import { MaskField } from "./MaskField";
import { ParameterFields } from "./ParameterFields";
import { RegionFields } from "./RegionFields";
import { plainName } from "./settings";
import { TrackingFields } from "./TrackingFields";

interface Props {
  isPreviewing: boolean;
  onPreview: () => void;
}

export function RunForm({ isPreviewing, onPreview }: Props) {
  const isTracked = settings.isTracked.value;
  return (
    <form id="settings" class="card run" autocomplete="off" aria-labelledby="run-title"
      onSubmit={(event) => { event.preventDefault(); void run(runnable.value); }}>
      <h2 id="run-title">Find the cells</h2>
      <ModelField />
      <Movies />
      {isTracked ? <More title="Tracking"><TrackingFields /></More>
        : <More title="Result files"><FormatFields /></More>}
      <More title="More settings" badge={settings.changes.value}>
        <VersionField />
        <ParameterFields />
        {!isTracked && <RegionFields />}
        {!isTracked && <MaskField />}
        <button type="button" class="quiet" onClick={() => settings.reset()}>Back to the defaults</button>
      </More>
      <RunButtons isPreviewing={isPreviewing} onPreview={onPreview} />
    </form>
  );
}

interface MoreProps {
  title: string;
  badge?: number;
  children: ComponentChildren;
}

function More({ title, badge = 0, children }: MoreProps) {
  return (
    <details class="more">
      <summary>{title}{badge > 0 && <span class="badge">{badge} changed</span>}</summary>
      {children}
    </details>
  );
}

function ModelField() {
  const models = settings.models.value;
  const model = settings.model.value;
  const [least, most] = [model?.min_object_diameter_px ?? 0, model?.max_object_diameter_px ?? 0];
  return (
    <div class="field">
      <label for="model">Model</label>
      <select id="model" disabled={models.length === 0} value={settings.modelName.value}
        onChange={(event) => settings.chooseModel(event.currentTarget.value)}>
        {models.length === 0 && <option>Loading…</option>}
        {models.map((one) => (
          <option key={one.name} value={plainName(one)}>{one.display_name || plainName(one)}</option>
        ))}
      </select>
      <p class="hint" id="model-text">{catalogue.trouble.value || model?.description}
        {most > 0 && ` For objects of about ${least} to ${most} px.`}</p>
    </div>
  );
}

function VersionField() {
  const { versions = [], default_version = "", canary_version = "" } = settings.model.value ?? {};
  const title = (version: string) => version === canary_version ? `${version} (on trial)`
    : version !== default_version ? version
    : version === versions.at(-1) ? `${version} (newest)` : `${version} (default)`;
  return (
    <div class="field inline">
      <label for="version">Version</label>
      <select id="version" value={settings.version.value}
        onChange={(event) => { settings.version.value = event.currentTarget.value; }}>
        {versions.toReversed().map((version) => (
          <option key={version} value={version === default_version ? "" : version}>
            {title(version)}
          </option>
        ))}
      </select>
    </div>
  );
}

/** What only movies and only stacks have; shown where a file is one, or none is known yet. */
function Movies() {
  const images = tray.items.value.flatMap((item) => item.contents.images.value);
  const known = images.filter((image) => image.size_x > 0);
  const hasMovie = known.length === 0 || known.some((image) => image.size_t > 1);
  const hasStack = known.length === 0 || known.some((image) => image.size_z > 1);
  const isTracked = settings.isTracked.value;
  return (
    <div class="field">
      {(hasMovie || isTracked) && (
        <label class="option">
          <input id="track" type="checkbox" checked={isTracked}
            onChange={(event) => { settings.isTracked.value = event.currentTarget.checked; }} />
          <span>Follow cells through time
            <span class="hint">Each cell keeps its number; divisions and lineages are found.</span></span>
        </label>
      )}
      {(hasStack || settings.volume.value) && (
        <label class="option">
          <input id="volume" type="checkbox" checked={settings.volume.value} disabled={isTracked}
            onChange={(event) => { settings.volume.value = event.currentTarget.checked; }} />
          <span>Join z-planes to 3-D
            <span class="hint">One number per cell through the depth of a stack.</span></span>
        </label>
      )}
    </div>
  );
}

function RunButtons({ isPreviewing, onPreview }: Props) {
  const ready = runnable.value;
  const jobs = ready.reduce((sum, item) => sum + item.contents.chosen.value.length, 0);
  const coming = tray.items.value.filter(({ doubt, transfer }) => !doubt.value && transfer.isOpen);
  const isBusy = ready.some((item) => item.isStarting.value);
  const model = settings.model.value;
  const unclear = tray.ready.value.filter(needsWord);
  const trouble = runTrouble.value;
  const more = jobs > ready.length ? ` (${count(jobs, "image")})` : "";
  return (
    <div class="run-buttons">
      {trouble && <p class="row-error" role="alert">{trouble.sentence}</p>}
      {unclear.length > 0 && (
        <p class="note">{count(unclear.length, "file has", "files have")} several channels. Choose the
          one with the cells beside {unclear.length === 1 ? "the file" : "one of them"}.</p>
      )}
      <button class="primary large" id="run" disabled={ready.length === 0 || !model || isBusy}>
        {isBusy ? "Starting…" : ready.length === 0 ? "Run" : `Run ${count(ready.length, "file")}${more}`}
      </button>
      {coming.length > 0 && !startsByItself.value && (
        <p class="hint">{count(coming.length, "file is", "files are")} still on the way.</p>
      )}
      <button type="button" id="preview" aria-expanded={isPreviewing}
        disabled={ready.length === 0 || !model} onClick={onPreview}>
        {isPreviewing ? "Close the preview" : "Preview"}
      </button>
      <label class="option">
        <input id="auto" type="checkbox" checked={startsByItself.value}
          onChange={(event) => { startsByItself.value = event.currentTarget.checked; }} />
        <span>Start each file by itself when it has arrived</span>
      </label>
    </div>
  );
}
