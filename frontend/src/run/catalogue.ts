// The models and result formats that the kiosk has at present.

import { signal } from "@preact/signals";

import { listFormats, listModels } from "../api/kiosk";
import { sentenceOf } from "../api/problem";
import type { Format } from "../api/types";
import { plainName, type RunSettings } from "./settings";

const RETRY_MS = 3000;
const FIRST_CHOICE = "nuclei"; // as in the commands

export class Catalogue {
  readonly formats = signal<readonly Format[]>([]);
  readonly trouble = signal("");
  #isOpen = false;

  constructor(private readonly settings: RunSettings) {
    const look = (): void => { if (this.#isOpen && !document.hidden) void this.load(); };
    document.addEventListener("visibilitychange", look);
    addEventListener("focus", look);
  }

  /** Load both; tries again by itself, since a kiosk that starts has no models yet. */
  async load(): Promise<void> {
    this.#isOpen = true;
    try {
      const models = (await listModels()).filter((model) => model.pipeline === "segmentation");
      this.formats.value = await listFormats();
      this.settings.models.value = models;
      const names = models.map(plainName);
      this.trouble.value = names.length > 0 ? ""
        : "No model is ready yet. This page shows it as soon as there is one.";
      if (names.length > 0 && !names.includes(this.settings.modelName.value)) {
        this.settings.chooseModel(names.includes(FIRST_CHOICE) ? FIRST_CHOICE : names[0]!);
      }
    } catch (error) {
      this.trouble.value = sentenceOf(error);
    }
    if (this.trouble.value) setTimeout(() => void this.load(), RETRY_MS);
  }
}
