// Two results of one image, or a result and the truth, side by side; and how far they agree.

import { useSignal } from "@preact/signals";

import { below } from "../viewer/addresses";
import type { Camera } from "../viewer/camera";
import { useJson } from "../viewer/json";
import Viewer from "../viewer";
import type { Comparison, ImageInfo } from "../viewer/shapes";
import { firstChannels, firstPlane } from "../viewer/state";
import { Scores } from "./Scores";

export interface CompareProps {
  /** Id of a job. */
  job: string;
  /** "jobs/{id}" or "uploads/{id}", which then is the truth. */
  other: string;
}

export function CompareView({ job, other }: CompareProps) {
  const base = `/jobs/${job}`;
  const image = useJson<ImageInfo>(below(base, "/image"));
  const others = useJson<ImageInfo>(below(`/${other}`, "/image"));
  const problem = image.problem || others.problem;
  if (problem) return <p class="compare-note" role="alert">{problem}</p>;
  if (!image.answer || !others.answer) return <p class="compare-note">Loading…</p>;
  return <Beside base={base} image={image.answer} other={other} otherImage={others.answer} />;
}

interface BesideProps {
  base: string;
  image: ImageInfo;
  other: string;
  otherImage: ImageInfo;
}

function Beside({ base, image, other, otherImage }: BesideProps) {
  const camera = useSignal<Camera | null>(null);
  const t = useSignal(firstPlane(image).t);
  const z = useSignal(firstPlane(image).z);
  const channels = useSignal(firstChannels(image));
  const compared = useJson<Comparison>(below(base, `/comparison?with=${other}`));
  const isTruth = other.startsWith("uploads/");
  const labels = { base: `/${other}`, image: isTruth ? asLabels(otherImage) : otherImage };
  const otherTitle = isTruth ? "The truth" : "The other job";
  // The numbers of a table are those of the job's own labels.
  const shared = { camera, t, z, channels, isPlain: true };
  const plain = { ...image, has_instances: false, has_tracks: false };
  const isSameSize = image.sizes.y === otherImage.sizes.y && image.sizes.x === otherImage.sizes.x;
  return (
    <div class="compare">
      {compared.problem && <p class="compare-note" role="alert">{compared.problem}</p>}
      {!compared.answer && !compared.problem && <p class="compare-note">Comparing…</p>}
      {compared.answer && <Scores comparison={compared.answer} isTruth={isTruth} t={t} />}
      {isSameSize && <div class="compare-panels">
        <figure>
          <figcaption>This job</figcaption>
          <Viewer base={base} image={plain} others={labels} title="This job" {...shared} />
        </figure>
        <figure>
          <figcaption>{otherTitle}</figcaption>
          <Viewer base={base} image={plain} labels={labels} others={{ base, image }} title={otherTitle} {...shared} />
        </figure>
      </div>}
    </div>
  );
}

/** An uploaded truth is an image whose pixels are labels, in every plane. */
function asLabels(image: ImageInfo): ImageInfo {
  return { ...image, has_labels: true, label_planes: null };
}
