// Whether a file can be sent at all, by its size and its name, before a byte goes.

import { bytes } from "../format/sizes";

const IMAGES = /\.(tiff?|btf|tf8|png|jpe?g|zip|ozx|svs|ndpi|czi|nd2|lif|stk|lsm|qptiff|npy)$/i;
// What people drop by mistake, with what to do instead.
const OTHERS: [RegExp, string][] = [
  [/\.(avi|mp4|mov|mkv|wmv|webm)$/i, "is a video file. Open it in Fiji and save it as TIFF."],
  [/\.(docx?|pdf|pptx?|odt|rtf|html?)$/i, "is a document and no image."],
  [/\.(xlsx?|csv|ods|tsv)$/i, "is a table and no image."],
  [/\.(txt|md|json|xml|log|ini|ya?ml|py|ijm|m|r)$/i, "is a text file and no image."],
  [/\.(rar|7z|tar|gz|tgz|bz2|xz)$/i, "is an archive that the kiosk does not open. Pack a zip."],
  [/\.(gif|webp|heic|bmp|psd|svg)$/i, "is a picture, but not of a kind that the kiosk reads. Save it"
    + " as TIFF or PNG."],
];

export interface Verdict {
  /** Why it is better not sent; "" where nothing speaks against it. */
  reason: string;
  /** Whether it may be tried all the same. */
  mayTry: boolean;
}

export function verdict(name: string, size_bytes: number, most_bytes: number): Verdict {
  if (size_bytes > most_bytes) {
    const reason = `This file has ${bytes(size_bytes)}, and the kiosk takes up to ${bytes(most_bytes)}.`
      + " Crop or split it, or ask those who run the kiosk.";
    return { reason, mayTry: false };
  }
  if (size_bytes === 0) return { reason: "This file is empty.", mayTry: false };
  if (IMAGES.test(name)) return { reason: "", mayTry: true };
  const [, what] = OTHERS.find(([pattern]) => pattern.test(name)) ?? [];
  const ending = /\.[^.]{1,12}$/.exec(name)?.[0];
  const unknown = ending ? `The kiosk does not know files that end in ${ending}.`
    : "The name of this file does not say what kind it is.";
  return { reason: what ? `This ${what}` : unknown, mayTry: true };
}
