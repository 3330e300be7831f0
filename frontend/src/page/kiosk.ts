// What all parts of the page share.

import { computed, effect, signal } from "@preact/signals";

import { sentenceOf } from "../api/problem";
import type { Job } from "../api/types";
import { announce } from "../announce";
import type { FileItem } from "../files/item";
import { Tray } from "../files/tray";
import { count } from "../format/numbers";
import { JobStore } from "../jobs/store";
import { go } from "../routes";
import { Catalogue } from "../run/catalogue";
import { launch } from "../run/launch";
import { needsChannel } from "../run/request";
import { BadSetting, RunSettings } from "../run/settings";
import { SessionStore } from "../session/session";
import { TusCarrier } from "../upload/tus";

const RETRY_MS = 3000;

export const session = new SessionStore();
export const jobs = new JobStore();
export const settings = new RunSettings();
export const catalogue = new Catalogue(settings);
export const tray = new Tray(new TusCarrier());

/** Files become jobs as soon as they have arrived, without waiting for the button. */
export const startsByItself = signal(false);
/** Why nothing was started, beside the button that was meant to. */
export const runTrouble = signal<{ field: string; sentence: string } | null>(null);
/** Something about the page as a whole. */
export const pageTrouble = signal("");

/** Whether somebody has to say first which channel is meant. */
export function needsWord({ contents }: FileItem): boolean {
  if (contents.channel.value !== "") return false;
  return contents.chosen.value.some((image) => needsChannel(image, settings.model.value));
}

/** The files that the button starts. */
export const runnable = computed(() => tray.ready.value.filter((item) => !needsWord(item)));

// Who does not see the bars hears when everything is there.
let wasSending = false;
effect(() => {
  const isSending = tray.queue.transfers.value.some((transfer) => transfer.isOpen);
  if (wasSending && !isSending && tray.ready.peek().length > 0) announce("All files have been sent.");
  wasSending = isSending;
});

tray.onReady = (item) => { if (startsByItself.value && !needsWord(item)) void run([item]); };

/** Start the jobs of these files. */
export async function run(items: readonly FileItem[]): Promise<void> {
  runTrouble.value = null;
  try {
    const made = await launch(items, settings.choice(), {
      onJob: (job) => jobs.put(job),
      onDone: (item) => tray.remove(item),
    });
    if (made > 0) announce(`${count(made, "job")} started.`);
  } catch (error) {
    if (!(error instanceof BadSetting)) throw error;
    runTrouble.value = { field: error.field, sentence: error.message };
  }
}

/** Back to the form with the same file, and the settings of a job filled in. */
export function runAgain(job: Job): void {
  const { reading = {}, channel = "" } = job.parameters;
  settings.fill(job.model, job.model_version, job.parameters);
  const item = tray.takeUpload(job.upload.replace(/^uploads\//, ""), job.file_name);
  const { member, series, ...corrections } = reading;
  item.contents.corrections.value = corrections;
  item.contents.channel.value = channel;
  item.only = member || series ? { member: member ?? "", series: series ?? 0 } : null;
  tray.inspector.read(item);
  go("/");
}

/** Find out who is here and load what is theirs; goes on trying while nobody answers. */
export async function begin(): Promise<void> {
  try {
    await session.load();
    pageTrouble.value = "";
  } catch (error) {
    pageTrouble.value = sentenceOf(error);
    setTimeout(() => void begin(), RETRY_MS);
    return;
  }
  if (!session.isGuest.value) open();
}

/** Load what belongs to the one who is signed in. */
export function open(): void {
  void catalogue.load();
  void jobs.begin();
  void tray.open(session.who.value?.owner ?? "");
  for (const item of tray.items.value) tray.queue.resume(item.transfer);
}

// Leaving is only a loss while files are under way; what has arrived is remembered.
addEventListener("beforeunload", (event) => {
  if (tray.queue.transfers.value.some((transfer) => transfer.isOpen)) event.preventDefault();
});
