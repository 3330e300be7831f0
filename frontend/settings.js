// The form: which model, which channel, and the numbers behind "More settings".

import { listFormats, listModels } from "./api.js";
import { $, el, say, setText } from "./dom.js";

const RETRY_MS = 3000;
const FIRST_CHOICE = "nuclei"; // as in the commands

export class Settings {
  constructor(onModels) {
    this.models = [];
    this.onModels = onModels;
    $("settings").addEventListener("submit", (event) => event.preventDefault());
    $("model").addEventListener("change", () => this.#modelChosen());
    $("track").addEventListener("change", () => this.#trackChosen());
    $("reset").addEventListener("click", () => this.#fill());
  }

  /** What has done a job: its model, and whether cells were followed through time. */
  worker({ pipeline, model, model_version: version }) {
    const name = model ? `${this.name(model)} ${version}` : "labels given";
    return pipeline === "tracking" ? `${name}, tracked` : name;
  }

  /** Display name of a model, or its plain name while it is not known. */
  name(model) {
    return this.#find(model)?.display_name || model;
  }

  /** Load the models; tries again by itself, since a kiosk that starts has none yet. */
  async load() {
    try {
      this.models = (await listModels()).filter((model) => model.pipeline === "segmentation");
      this.formats = await listFormats();
      if (this.models.length === 0) throw new Error("No model is ready yet.");
    } catch (error) {
      setText($("model-text"), error.message);
      setTimeout(() => this.load(), RETRY_MS);
      return;
    }
    const options = this.models.map((model) =>
      el("option", { value: plainName(model), text: model.display_name || plainName(model) }));
    $("model").replaceChildren(...options);
    if (this.#find(FIRST_CHOICE)) $("model").value = FIRST_CHOICE;
    $("model").disabled = false;
    $("formats").replaceChildren(...this.formats.map(formatBox));
    this.#modelChosen();
    this.onModels();
  }

  get isReady() {
    return this.models.length > 0;
  }

  /** Body of a job request, without its upload. Only numbers that were changed are sent. */
  request() {
    const model = this.#chosen();
    const parameters = {};
    for (const input of $("parameters").querySelectorAll("input")) {
      const value = input.valueAsNumber;
      const known = model.parameters.find((parameter) => parameter.name === input.name);
      const isChanged = value !== known.default_value;
      if (Number.isFinite(value) && isChanged) parameters[input.name] = value;
    }
    const boxes = [...$("formats").querySelectorAll("input")];
    const formats = boxes.filter((box) => box.checked).map((box) => box.value);
    const isTracked = $("track").checked;
    return {
      model: plainName(model),
      model_version: $("version").value,
      channel: $("channel").value.trim(),
      parameters,
      reading: {
        axes: $("axes").value.trim(),
        pixel_size_um: $("pixel-size").valueAsNumber || 0,
        z_step_um: $("z-step").valueAsNumber || 0,
      },
      // Movies have result files of their own.
      ...(isTracked ? { tracking: {} } : { volume: $("volume").checked, formats }),
    };
  }

  /** Which images of a file are meant: "" for the first (all of a zip), "all", or a number. */
  series() {
    return $("series").value.trim().toLowerCase();
  }

  #find(name) {
    return this.models.find((model) => plainName(model) === name);
  }

  #chosen() {
    return this.#find($("model").value);
  }

  #modelChosen() {
    const model = this.#chosen();
    const [least, most] = [model.min_object_diameter_px, model.max_object_diameter_px];
    const sizes = most > 0 ? ` For objects of about ${least} to ${most} px.` : "";
    say($("model-text"), model.description + sizes);
    this.#fill();
  }

  /** What has no meaning for movies cannot be chosen. */
  #trackChosen() {
    const isTracked = $("track").checked;
    for (const box of [$("volume"), ...$("formats").querySelectorAll("input")]) box.disabled = isTracked;
  }

  #fill() {
    const model = this.#chosen();
    const versions = [...model.versions].reverse();
    $("version").replaceChildren(...versions.map((version, place) =>
      el("option", { value: version, text: place === 0 ? `${version} (newest)` : version })));
    $("parameters").replaceChildren(...model.parameters.map(field));
    for (const id of ["axes", "pixel-size", "z-step", "series"]) $(id).value = "";
    $("volume").checked = $("track").checked = false;
    this.#trackChosen();
    for (const box of $("formats").querySelectorAll("input")) box.checked = box.defaultChecked;
  }
}

/** A result format to choose: what it is, and how its file ends. */
function formatBox({ name, ending, description, is_default: isDefault }) {
  const box = el("input", { type: "checkbox", value: name });
  box.defaultChecked = box.checked = isDefault;
  const [what] = description.split(/[.:,;] /);
  return el("label", { class: "option", title: description }, box,
    el("span", {}, what.replace(/\.$/, ""), el("span", { class: "hint", text: `…${ending}` })));
}

const plainName = (model) => model.name.replace(/^models\//, "");

/** "min_area_px" as a number input called "Min area (px)", with its range and meaning. */
function field({ name, kind, default_value: value, minimum, maximum, unit, meaning }) {
  const id = `parameter-${name}`;
  const words = name.replace(/_px$/, "").replaceAll("_", " ");
  const label = words[0].toUpperCase() + words.slice(1) + (unit ? ` (${unit.replace("2", "²")})` : "");
  return el("div", { class: "field inline" },
    el("label", { for: id, text: label, title: meaning }),
    el("input", {
      id, name, type: "number", step: kind === "number" ? "any" : 1, min: minimum, max: maximum,
      value, title: `${meaning} From ${minimum} to ${maximum}.`,
    }));
}
