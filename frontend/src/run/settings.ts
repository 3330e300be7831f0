// What is asked of the kiosk besides the files: model, numbers, tracking, results.

import { batch, computed, signal } from "@preact/signals";

import type { JobParameters, Model, Parameter, Region, TrackingOptions } from "../api/types";
import { parseNumber, typed } from "../format/numbers";
import { askedOf } from "./tracking";

/** A setting that cannot be sent as it stands. */
export class BadSetting extends Error {
  constructor(readonly field: string, sentence: string) {
    super(sentence);
  }
}

export interface MaskChoice {
  upload: string;
  name: string;
}

/** All settings, checked: what a request is made of. */
export interface Choice {
  model: string;
  version: string;
  parameters: Record<string, number>;
  tracking: TrackingOptions | null;
  volume: boolean;
  formats: readonly string[];
  region: Region | null;
  within: string;
}

export const REGION_FIELDS = ["min_y_px", "min_x_px", "max_y_px", "max_x_px"] as const;
export type RegionField = (typeof REGION_FIELDS)[number];
const NO_REGION: Record<RegionField, string> =
  { min_y_px: "", min_x_px: "", max_y_px: "", max_x_px: "" };

export const plainName = (model: Model): string => model.name.replace(/^models\//, "");

export class RunSettings {
  readonly models = signal<readonly Model[]>([]);
  readonly modelName = signal("");
  /** "" = the default of the model. */
  readonly version = signal("");
  /** What was typed for parameters, by name; the others have the model's value. */
  readonly typed = signal<Readonly<Record<string, string>>>({});
  readonly isTracked = signal(false);
  readonly tracking = signal<TrackingOptions>({});
  readonly reach = signal("");
  readonly volume = signal(false);
  /** null = the kiosk's default set. */
  readonly formats = signal<readonly string[] | null>(null);
  readonly region = signal<Readonly<Record<RegionField, string>>>(NO_REGION);
  readonly within = signal<MaskChoice | null>(null);

  readonly model = computed(() => this.models.value.find(
    (model) => plainName(model) === this.modelName.value) ?? null);

  /** How many settings differ from the defaults, besides the model. */
  readonly changes = computed(() => Object.keys(this.changedParameters()).length
    + Object.keys(this.#tracking()).length * Number(this.isTracked.value)
    + Number(this.version.value !== "") + Number(this.formats.value !== null)
    + Number(this.region.value !== NO_REGION) + Number(this.within.value !== null));

  chooseModel(name: string): void {
    batch(() => {
      this.modelName.value = name;
      this.version.value = "";
      this.typed.value = {};
    });
  }

  reset(): void {
    batch(() => {
      this.version.value = "";
      this.typed.value = {};
      this.tracking.value = {};
      this.reach.value = "";
      this.volume.value = false;
      this.formats.value = null;
      this.region.value = NO_REGION;
      this.within.value = null;
    });
  }

  /** As they were for a job. */
  fill(model: string, version: string, parameters: JobParameters): void {
    const { postprocessing = {}, tracking, region } = parameters;
    batch(() => {
      this.reset();
      if (model) this.chooseModel(model);
      const { default_version = "", canary_version = "" } = this.model.value ?? {};
      // While a canary is on trial, leaving the version open may mean another one.
      this.version.value = version === default_version && !canary_version ? "" : version;
      this.typed.value = Object.fromEntries(
        Object.entries(postprocessing).map(([name, value]) => [name, typed(value)]));
      this.isTracked.value = tracking !== undefined;
      this.tracking.value = askedOf(tracking ?? {});
      this.reach.value = tracking?.reach_px ? typed(tracking.reach_px) : "";
      this.volume.value = parameters.volume ?? false;
      this.formats.value = parameters.formats ?? null;
      if (region) {
        this.region.value = { ...NO_REGION, ...Object.fromEntries(
          REGION_FIELDS.map((field) => [field, typed(region[field])])) };
      }
      const { within } = parameters;
      this.within.value = within ? { upload: within, name: "the mask of that job" } : null;
    });
  }

  /** Raises BadSetting for the first that is not right. */
  choice(): Choice {
    const model = this.model.value;
    if (!model) throw new BadSetting("model", "No model is ready yet. Wait a moment.");
    for (const parameter of model.parameters) checkParameter(parameter, this.typed.value);
    const isTracked = this.isTracked.value;
    return {
      model: plainName(model),
      version: this.version.value,
      parameters: this.changedParameters(),
      tracking: isTracked ? this.#tracking() : null,
      volume: !isTracked && this.volume.value,
      formats: isTracked ? [] : this.formats.value ?? [],
      region: isTracked ? null : this.#region(),
      within: isTracked ? "" : this.within.value?.upload ?? "",
    };
  }

  /** Only the numbers that differ from what the model would do. */
  changedParameters(): Record<string, number> {
    const changed: Record<string, number> = {};
    for (const { name, default_value } of this.model.value?.parameters ?? []) {
      const value = parseNumber(this.typed.value[name] ?? "");
      if (Number.isFinite(value) && value !== default_value) changed[name] = value;
    }
    return changed;
  }

  #tracking(): TrackingOptions {
    const { reach_px: _, ...options } = this.tracking.value;
    const reach_px = parseNumber(this.reach.value);
    return reach_px > 0 ? { ...options, reach_px } : options;
  }

  #region(): Region | null {
    const texts = this.region.value;
    if (REGION_FIELDS.every((field) => texts[field].trim() === "")) return null;
    const [min_y_px = 0, min_x_px = 0, max_y_px = 0, max_x_px = 0] =
      REGION_FIELDS.map((field) => parseNumber(texts[field] || "0"));
    const isRight = [min_y_px, min_x_px, max_y_px, max_x_px].every((edge) => Number.isInteger(edge))
      && min_y_px >= 0 && min_x_px >= 0 && max_y_px > min_y_px && max_x_px > min_x_px;
    if (!isRight) {
      throw new BadSetting("region", "The region needs whole numbers of pixels, and its end after"
        + " its beginning. Empty all four for the whole image.");
    }
    return { min_y_px, min_x_px, max_y_px, max_x_px };
  }
}

function checkParameter(parameter: Parameter, texts: Readonly<Record<string, string>>): void {
  const text = texts[parameter.name] ?? "";
  if (text.trim() === "") return;
  const value = parseNumber(text);
  const { minimum, maximum, kind, name } = parameter;
  const isRight = value >= minimum && value <= maximum
    && (kind === "number" || Number.isInteger(value));
  if (isRight) return;
  const what = kind === "number" ? "a number" : "a whole number";
  throw new BadSetting(name,
    `${labelOf(parameter)} must be ${what} from ${typed(minimum)} to ${typed(maximum)}.`);
}

/** "min_area_px" as "Min area (px)". */
export function labelOf({ name, unit }: Parameter): string {
  const words = name.replace(/_px2?$/, "").replaceAll("_", " ");
  const title = words.charAt(0).toUpperCase() + words.slice(1);
  return unit ? `${title} (${unit.replace("2", "²")})` : title;
}
