// What is known about a job.

import { useRef } from "preact/hooks";

import type { Job } from "../api/types";
import { number } from "../format/numbers";
import { moment } from "../format/times";
import { CopyButton, selectText } from "../page/CopyButton";
import { settingsText, tookText } from "./words";

export function Facts({ job }: { job: Job }) {
  const id = useRef<HTMLElement>(null);
  return (
    <section class="card pad" aria-labelledby="facts-title">
      <h2 id="facts-title">About this job</h2>
      <dl id="facts">
        {factsOf(job).map(([term, text]) => [<dt key={term}>{term}</dt>, <dd key={`${term}-text`}>{text}</dd>])}
        <dt>Job</dt>
        <dd><code ref={id} class="id">{job.id}</code>{" "}
          <CopyButton text={job.id} label="Copy" select={() => selectText(id.current)} /></dd>
      </dl>
    </section>
  );
}

export function factsOf(job: Job): [string, string][] {
  const { channel, plane, reading = {}, region, volume, within } = job.parameters;
  const facts: [string, string][] = [];
  const add = (term: string, text: string | undefined): void => { if (text) facts.push([term, text]); };
  add("Submitted", job.create_time && moment(job.create_time));
  add("Took", tookText(job));
  add("Owner", job.owner);
  add("Image", [reading.member, reading.series ? `number ${reading.series}` : ""].filter(Boolean).join(", "));
  add("Channel", channel);
  add("Axes", reading.axes && `${reading.axes} (as given)`);
  add("Pixel size", reading.pixel_size_um ? `${number(reading.pixel_size_um)} µm (as given)` : "");
  add("Z step", reading.z_step_um ? `${number(reading.z_step_um)} µm (as given)` : "");
  if (region) {
    const size = `${region.max_x_px - region.min_x_px} × ${region.max_y_px - region.min_y_px} px`;
    add("Region", `${size} from x ${region.min_x_px}, y ${region.min_y_px}`);
  }
  if (plane) add("Plane", `frame ${plane.t}, plane ${plane.z}`);
  add("3-D", volume ? "z-planes joined" : "");
  add("Mask", within ? "only instances inside of it" : "");
  add("Settings", settingsText(job));
  add("Kept until", job.expire_time && moment(job.expire_time));
  return facts;
}
